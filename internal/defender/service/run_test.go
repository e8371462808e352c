package service

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Time alone ends a window of the cloud's, and prunes.
func TestRunFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openService(t, Options{})
		document := profile.Profile{Name: "Messages", AdditionalMetricsToRetain: []string{"aws:num-messages-sent"}}
		err := s.write(t.Context(), func(tx *store.Tx) error {
			if err := tableProfiles.Put(tx, "Messages", storedProfile{Document: document}); err != nil {
				return err
			}
			if err := tableTargets.Put(tx, pairKey("Messages", s.arn("all/things")), struct{}{}); err != nil {
				return err
			}
			return s.profileChanged(tx, "Messages")
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		for range 3 {
			s.Cloud(detect.CloudEvent{Thing: "thing-1", Type: detect.Publish, Topic: "data", Bytes: 10})
		}
		values := func() (sent []int64) {
			err := s.read(t.Context(), func(view *store.Reader) error {
				for _, v := range storedValues(t, view, "thing-1", "aws:num-messages-sent") {
					sent = append(sent, *v.Count)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return sent
		}
		time.Sleep(7 * time.Minute)
		if sent := values(); len(sent) != 1 || sent[0] != 3 {
			t.Errorf("sent %v after the first window, want [3]", sent)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(17 * 24 * time.Hour)
		ctx, cancel = context.WithCancel(t.Context())
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if sent := values(); len(sent) != 0 {
			t.Errorf("sent %v after 17 days, want none", sent)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
	})
}
