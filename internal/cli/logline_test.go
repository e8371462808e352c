package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/greengrass/localcore"
)

// What 'local' shows of messages moves no cursor and makes no lines of its own.
func TestLocalShowsForeignTextHarmless(t *testing.T) {
	var out bytes.Buffer
	c := &console{out: &out, gone: func() {}}
	for _, m := range []localcore.Message{
		{Topic: "$aws/things/t/defender/metrics/json", Payload: []byte(`{"header":{"report_id":7,"version":"1.0"},"metrics":{"listening_tcp_ports":{"ports":[{"port":1,"interface":"a\u001b[2J\u009b\u202e\nb"}],"total":1}},"custom_metrics":{"x\u001b[2J\r\n00:00:00  cloud  forged":[{"string_list":["\u009b31m\n"]}]}}`)},
		{Topic: "$aws/things/t/defender/metrics/json/rejected", Payload: []byte(`{"thingName":"t","status":"REJECTED","statusDetails":{"ErrorCode":"\u001b[2J","ErrorMessage":"\u202e\nforged"}}`)},
		{Topic: "agent/\x1b[2J\u202e", Payload: []byte("x")},
	} {
		showMessage(c, m)
	}
	c.writer("agent").Write([]byte("a program's \x1b[2J\u009b31m line\nand\tanother\n"))
	text := out.String()
	if strings.ContainsAny(text, "\x1b\u009b\u202e\r\t") || strings.Contains(text, "\nforged") || strings.Contains(text, "\n00:00:00") {
		t.Errorf("%q", text)
	}
	if !strings.Contains(text, `\u{1b}[2J`) || !strings.Contains(text, "and    another") {
		t.Errorf("%s", text)
	}
}
