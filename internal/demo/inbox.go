package demo

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Alert is what an alert's receiver needs of it here.
type Alert struct {
	ViolationID string `json:"violationId"`
	Thing       string `json:"thingName"`
	Type        string `json:"violationEventType"`
	Body        []byte `json:"-"` // as it was posted
}

// Inbox is a webhook on loopback.
type Inbox struct {
	listener net.Listener
	server   *http.Server
	alerts   chan Alert
	done     chan struct{}
}

// maxAlert is well over what an alert has, even with the longest names.
const maxAlert = 64 << 10

// OpenInbox starts to take alerts.
func OpenInbox() (*Inbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	in := &Inbox{listener: listener, alerts: make(chan Alert, 100), done: make(chan struct{})}
	in.server = &http.Server{
		Handler: http.HandlerFunc(in.take), ReadTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() {
		defer close(in.done)
		in.server.Serve(listener)
	}()
	return in, nil
}

// URL is where alerts are to be posted.
func (in *Inbox) URL() string { return "http://" + in.listener.Addr().String() + "/alerts" }

// Alerts are those that came; what does not fit waits for its sender to try
// again.
func (in *Inbox) Alerts() <-chan Alert { return in.alerts }

// Close ends it.
func (in *Inbox) Close() error {
	err := in.server.Close()
	<-in.done
	return err
}

func (in *Inbox) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAlert))
	var alert Alert
	if err = errors.Join(err, json.Unmarshal(body, &alert)); err != nil {
		http.Error(w, "not an alert", http.StatusBadRequest)
		return
	}
	alert.Body = body
	select {
	case in.alerts <- alert:
	default:
		http.Error(w, "full", http.StatusServiceUnavailable)
	}
}
