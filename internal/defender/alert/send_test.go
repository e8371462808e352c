package alert

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/outbox"
)

const topic = "arn:aws:sns:eu-west-1:123456789012:alarms"

// A FIFO topic takes no message without a group, and one without content-based
// deduplication none without an id of its own.
func TestFIFOTopic(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	ids := map[string]bool{}
	refuse := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("MessageGroupId") == "" {
			t.Error(err, r.Form)
		}
		ids[r.Form.Get("MessageDeduplicationId")] = true
		w.Header().Set("Content-Type", "text/xml")
		if refuse {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter: Message too long</Message></Error><RequestId>9d3a9c2b-6c40-5b87-9f2e-fb0e1f0b4f6a</RequestId></ErrorResponse>`)
			return
		}
		io.WriteString(w, `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult></PublishResponse>`)
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_SNS", server.URL)
	p := NewSender(nil, nil)
	for _, violation := range []string{"1", "2", "1"} {
		if err := p.Send(t.Context(), topic+".fifo", []outbox.Alert{{Violation: violation, Message: []byte(violation)}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 2 || ids[""] {
		t.Errorf("%d deduplication ids for two alerts: %v", len(ids), ids)
	}
	refuse = true
	if err := p.Send(t.Context(), topic+".fifo", []outbox.Alert{{Message: []byte(`{}`)}}); !errors.Is(err, outbox.ErrRefused) {
		t.Errorf("a message that is too long: %v", err)
	}
}
