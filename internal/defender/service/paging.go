package service

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// page is what of a list a call asks for: up to max items, of those whose keys
// are greater than after. It goes on where the last page ended, whatever has
// been created or deleted in between.
type page struct {
	after string
	max   int
	scope []byte
}

// sealSize is the length of what ties a token to its list, and shows that it is
// whole.
const sealSize = 8

// page reads maxResults and nextToken.
func (r *request) page() (*page, error) {
	p := &page{max: r.op.initial, scope: r.scope()}
	if p.max == 0 {
		p.max = r.op.page
	}
	if r.values.Has("maxResults") {
		text := r.query("maxResults")
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > r.op.page {
			return nil, constraint("maxResults", text, fmt.Sprintf("Member must be an integer between 1 and %d", r.op.page))
		}
		p.max = n
	}
	if r.values.Has("nextToken") {
		text := r.query("nextToken")
		token, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") || // which the decoder ignores
			len(token) <= sealSize || !bytes.Equal(token[:sealSize], p.seal(token[sealSize:])) {
			return nil, invalidRequest("nextToken is not one that this operation answered for the same request")
		}
		p.after = string(token[sealSize:])
	}
	return p, nil
}

// scope is a digest of the list that is asked for: the operation and all that
// chooses items. A token is good only for that list.
func (r *request) scope() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q", r.op.name, r.http.URL.Path)
	for _, parameter := range r.op.query {
		fmt.Fprintf(h, " %s %q", parameter, r.values[parameter])
	}
	return h.Sum(nil)
}

// seal is a checksum of a key in the list.
func (p *page) seal(after []byte) []byte {
	sum := sha256.Sum256(append(bytes.Clone(p.scope), after...))
	return sum[:sealSize]
}

// token returns the nextToken of the page that begins after the key.
func (p *page) token(after string) string {
	return base64.RawURLEncoding.EncodeToString(append(p.seal([]byte(after)), after...))
}

// fill takes items for the page from a list, whose keys are greater than
// p.after and in the order of the list. It returns the nextToken, "" when the
// list has no more.
func fill[T any](p *page, list iter.Seq2[string, T]) (items []T, nextToken string) {
	items = []T{} // an empty list is answered as one
	last := ""
	for key, item := range list {
		if len(items) == p.max {
			return items, p.token(last)
		}
		items, last = append(items, item), key
	}
	return items, ""
}

// answerList answers a page of a list as the member and, when there is more,
// nextToken. The walk gives items and their keys, which are greater than after
// and in the order of the list, until yield returns false; an error of it is
// the answer.
func answerList[T any](s *Service, r *request, member string, walk func(view *store.Reader, after string, yield func(key string, item T) bool) error) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	var items []T
	var nextToken string
	err = s.read(r.ctx(), func(view *store.Reader) (err error) {
		items, nextToken = fill(p, func(yield func(string, T) bool) { err = walk(view, p.after, yield) })
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := map[string]any{member: items}
	if nextToken != "" {
		answer["nextToken"] = nextToken
	}
	return answer, nil
}

// listNames answers a page of the keys of a table.
func listNames[V any](s *Service, r *request, member string, t table[V]) (any, error) {
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
