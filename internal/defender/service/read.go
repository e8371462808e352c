package service

import (
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
		for name, err := range t.keysAfter(view, "", after) {
			if err != nil {
				return err
			}
			if !yield(name, name) {
				break
			}
		}
		return nil
	})
}
