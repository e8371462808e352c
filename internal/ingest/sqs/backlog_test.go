package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/memdir"
)

// backlog is a queue that gives what it has from the front.
type backlog struct {
	*queue // what is not asked for here

	mu      sync.Mutex
	waiting []types.Message
	flying  map[string]types.Message
	until   int           // when fewer are left
	reached chan struct{} // it is closed
}

func (b *backlog) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	b.mu.Lock()
	n := min(batch, len(b.waiting))
	list := slices.Clone(b.waiting[:n])
	b.waiting = b.waiting[n:]
	for _, m := range list {
		b.flying[*m.ReceiptHandle] = m
	}
	b.mu.Unlock()
	if n == 0 && in.WaitTimeSeconds > 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &sqs.ReceiveMessageOutput{Messages: list}, nil
}

func (b *backlog) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range in.Entries {
		delete(b.flying, *e.ReceiptHandle)
	}
	if len(b.waiting)+len(b.flying) <= b.until {
		select {
		case <-b.reached:
		default:
			close(b.reached)
		}
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (b *backlog) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range in.Entries {
		if m, ok := b.flying[*e.ReceiptHandle]; ok && e.VisibilityTimeout == 0 {
			delete(b.flying, *e.ReceiptHandle)
			b.waiting = append(b.waiting, m)
		}
	}
	return &sqs.ChangeMessageVisibilityBatchOutput{}, nil
}

// A backlog of hours of a fleet is drained, partly twice and in a somewhat other order, with an end of the service
// in between: each thing has the violations that it had, at the times when they were, and no other.
func TestBacklogOfAFleet(t *testing.T) {
	const things, reports = 40, 72
	s, err := service.Open(service.Options{Data: memdir.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call := func(method, path, body string) string {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	call("POST", "/security-profiles/P", `{"behaviors":[{"name":"Out","metric":"aws:all-packets-out","criteria":{"comparisonOperator":"less-than-equals",`+
		`"value":{"count":5000},"durationSeconds":300,"consecutiveDatapointsToAlarm":1,"consecutiveDatapointsToClear":1}}]}`)
	call("PUT", "/security-profiles/P/targets?securityProfileTargetArn=arn:aws:iot:us-east-1:123456789012:all/things", "")

	begin := time.Now().Add(-reports * 5 * time.Minute).Truncate(time.Second)
	random := rand.New(rand.NewPCG(7, 7))
	b := &backlog{queue: newQueue(9), flying: map[string]types.Message{}, reached: make(chan struct{})}
	var want []string
	add := func(body string) {
		id := fmt.Sprint(len(b.waiting))
		b.waiting = append(b.waiting, types.Message{MessageId: &id, ReceiptHandle: aws.String("r" + id), Body: &body})
	}
	for i := range reports {
		for k := range things {
			thing, at, packets := fmt.Sprintf("thing-%02d", k), begin.Add(time.Duration(i*300+k)*time.Second), 100
			if i%24 == k%24 { // once in two hours, for one report
				packets = 9000
				want = append(want, fmt.Sprint(thing, " in-alarm ", at.Unix()))
				if i+1 < reports {
					want = append(want, fmt.Sprint(thing, " alarm-cleared ", at.Unix()+300))
				}
			}
			add(message(thing, fmt.Sprintf(`{"header":{"report_id":%d,"version":"1.0"},"metrics":{"network_stats":{"packets_out":%d}}}`, at.Unix(), packets), at))
		}
	}
	for range things { // somewhere behind
		n := random.IntN(len(b.waiting))
		b.waiting = slices.Insert(b.waiting, n+random.IntN(len(b.waiting)-n), b.waiting[n])
	}
	for i := 0; i+15 <= len(b.waiting); i += 15 {
		part := b.waiting[i : i+15]
		random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	for i := range b.waiting {
		b.waiting[i].ReceiptHandle = aws.String(fmt.Sprint("r", i))
	}

	rules := ingest.NewRules(ingest.New(s, slog.New(slog.DiscardHandler)), s)
	for _, until := range []int{len(b.waiting) / 2, 0} {
		b.until, b.reached = until, make(chan struct{})
		source, err := New(t.Context(), Options{URL: queueURL, Rules: rules, API: b})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- source.Serve(ctx) }()
		<-b.reached
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	next := ""
	for {
		var page struct {
			Events []struct {
				Thing string  `json:"thingName"`
				Type  string  `json:"violationEventType"`
				Time  float64 `json:"violationEventTime"`
			} `json:"violationEvents"`
			Next string `json:"nextToken"`
		}
		path := fmt.Sprintf("/violation-events?maxResults=250&startTime=%s&endTime=%s",
			begin.Add(-time.Minute).UTC().Format(time.RFC3339), time.Now().Add(time.Minute).UTC().Format(time.RFC3339))
		if err := json.Unmarshal([]byte(call("GET", path+next, "")), &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, fmt.Sprint(e.Thing, " ", e.Type, " ", int64(e.Time)))
		}
		if page.Next == "" {
			break
		}
		next = "&nextToken=" + page.Next
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d", len(got), len(want))
		for _, e := range want {
			if !slices.Contains(got, e) {
				t.Errorf("lacks %s", e)
			}
		}
	}
}
