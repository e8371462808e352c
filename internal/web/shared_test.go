package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Of any number who ask while a page is being made, one makes the next.
func TestSharedPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		s := newShared(func(ctx context.Context, _ *http.Request) answer {
			made++
			n := made
			time.Sleep(time.Second)
			if err := ctx.Err(); err != nil {
				t.Error(err)
			}
			return answer{http.StatusOK, []byte{byte(n)}}
		})
		got := map[byte]int{}
		var mu sync.Mutex
		ask := func(ctx context.Context) {
			a := s.page(ctx, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", nil))
			mu.Lock()
			defer mu.Unlock()
			if a.status != http.StatusOK {
				got[0]++
				return
			}
			got[a.body[0]]++
		}
		go ask(t.Context())
		synctest.Wait()
		gone, leave := context.WithCancel(t.Context())
		go ask(gone) // is the first of the next turn
		synctest.Wait()
		for range 20 {
			go ask(t.Context())
		}
		go ask(gone)
		synctest.Wait()
		leave()
		synctest.Wait()
		mu.Lock()
		if got[0] != 1 || len(got) != 1 {
			t.Errorf("of who waited and went: %v", got)
		}
		mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got[1] != 1 || got[2] != 21 || made != 2 {
			t.Errorf("%v, made %d", got, made)
		}
		ask(t.Context())
		if got[3] != 1 {
			t.Errorf("later: %v", got)
		}
	})
}
