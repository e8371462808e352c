package service

import (
	"iter"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// readNamed reads what has the name, by itself.
func readNamed[V any](s *Service, r *awsrest.Request, name string, get func(view *store.Reader, name string) (*V, error)) (v *V, err error) {
	err = s.read(r.Context(), func(view *store.Reader) error {
		v, err = get(view, name)
		return err
	})
	return v, err
}

// answerList answers a page of a list that is read from one snapshot: see
// [awsrest.List].
func answerList[T any](s *Service, r *awsrest.Request, member string, walk func(view *store.Reader, after string, yield func(key string, item T) bool) error) (any, error) {
	return awsrest.List(r, member, func(after string, yield func(string, T) bool) error {
		return s.read(r.Context(), func(view *store.Reader) error { return walk(view, after, yield) })
	})
}

// listNames answers a page of the keys of a table.
func listNames[V any](s *Service, r *awsrest.Request, member string, t table[V]) (any, error) {
	return answerList(s, r, member, func(view *store.Reader, after string, yield func(string, string) bool) error {
		return giveKeys(t.keysAfter(view, "", after), yield, func(name string) string { return name })
	})
}

// giveKeys gives an item for each key of a list.
func giveKeys[T any](keys iter.Seq2[string, error], yield func(key string, item T) bool, item func(key string) T) error {
	for key, err := range keys {
		if err != nil {
			return err
		}
		if !yield(key, item(key)) {
			break
		}
	}
	return nil
}
