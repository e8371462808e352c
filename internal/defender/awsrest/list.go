package awsrest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"
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

// List answers a page of a list as the member and, when there is more, nextToken.
// The walk gives items and their keys, which are greater than after and in the
// order of the list, until yield returns false; an error of it is the answer.
func List[T any](r *Request, member string, walk func(after string, yield func(key string, item T) bool) error) (any, error) {
	p, err := r.page()
	if err != nil {
		return nil, err
	}
	items, nextToken := fill(p, func(yield func(string, T) bool) { err = walk(p.after, yield) })
	if err != nil {
		return nil, err
	}
	answer := map[string]any{member: items}
	if nextToken != "" {
		answer["nextToken"] = nextToken
	}
	return answer, nil
}

// page reads maxResults and nextToken.
func (r *Request) page() (*page, error) {
	most := r.Operation.MaxResults
	p := &page{max: r.Operation.DefaultResults, scope: r.scope()}
	if p.max == 0 {
		p.max = most
	}
	if r.Has("maxResults") {
		text := r.Query("maxResults")
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return nil, Constraint("maxResults", text, fmt.Sprintf("Member must be an integer between 1 and %d", most))
		}
		p.max = n
	}
	if r.Has("nextToken") {
		text := r.Query("nextToken")
		token, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") || // which the decoder ignores
			len(token) <= sealSize || !bytes.Equal(token[:sealSize], p.seal(token[sealSize:])) {
			return nil, Invalid("nextToken is not one that this operation answered for the same request")
		}
		p.after = string(token[sealSize:])
	}
	return p, nil
}

// scope is a digest of the list that is asked for: the operation and all that
// chooses items. A token is good only for that list.
func (r *Request) scope() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %q", r.Operation.Name, r.HTTP.URL.Path)
	for _, parameter := range r.Operation.Query {
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
