package greengrass

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimestamp(t *testing.T) {
	tests := []struct {
		in   string
		want int64  // ms
		out  string // always with a fraction
	}{
		{"1795384224.359", 1795384224359, "1795384224.359"}, // Node
		{"1795384224", 1795384224000, "1795384224.000"},     // Node, in a full second
		{"1.795384224359E9", 1795384224359, "1795384224.359"},
		{"0", 0, "0.000"},
	}
	for _, test := range tests {
		var ts Timestamp
		if err := json.Unmarshal([]byte(test.in), &ts); err != nil {
			t.Fatal(err)
		}
		if ts.UnixMilli() != test.want {
			t.Errorf("%s: %d ms, want %d", test.in, ts.UnixMilli(), test.want)
		}
		b, err := json.Marshal(ts)
		if err != nil || string(b) != test.out {
			t.Errorf("%s: written %s, %v, want %s", test.in, b, err, test.out)
		}
	}
	// No millisecond of a day is lost on the way out and in again.
	for ms := int64(1795384224000); ms < 1795384225000; ms++ {
		b, _ := json.Marshal(Timestamp{time.UnixMilli(ms)})
		var ts Timestamp
		if err := json.Unmarshal(b, &ts); err != nil || ts.UnixMilli() != ms {
			t.Fatalf("%d ms: %s is %d ms, %v", ms, b, ts.UnixMilli(), err)
		}
	}
	if err := json.Unmarshal([]byte(`"soon"`), new(Timestamp)); err == nil {
		t.Error("text taken for a timestamp")
	}
}
