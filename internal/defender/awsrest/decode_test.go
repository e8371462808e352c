package awsrest

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestDecodeDepth bounds how deep JSON is nested, also where the operation
// takes a value as it is.
func TestDecodeDepth(t *testing.T) {
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{strings.Repeat("[", 31) + strings.Repeat("]", 31), true},
		{strings.Repeat("[", 32) + strings.Repeat("]", 32), false},
		{strings.Repeat("[", 100_000), false},
		{strings.Repeat(`{"a":`, 100_000), false},
	} {
		var into struct {
			Any json.RawMessage `json:"any"`
		}
		err := decodeStrict([]byte(`{"any":`+test.text+`}`), &into)
		if (err == nil) != test.ok || !test.ok && !strings.Contains(err.Error(), "nested more than 32 deep") {
			t.Errorf("%.20s, %d bytes: %v", test.text, len(test.text), err)
		}
	}
}

// The path of a member is not written out for each of many elements below a
// long name, which would be 90 GB here.
func TestDecodeLongNames(t *testing.T) {
	name, list := strings.Repeat("n", 300_000), "["+strings.Repeat("1,", 300_000)+"1]"
	for _, body := range []string{
		`{"time":{"` + name + `":` + list + `}}`,
		`{"any":{"` + name + `":` + list + `}}`,
		`{"lists":{"` + name + `":` + list + `}}`,
	} {
		var into struct {
			Time  Epoch               `json:"time"`
			Any   any                 `json:"any"`
			Lists map[string][]string `json:"lists"`
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		decodeStrict([]byte(body), &into)
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 1000 {
			t.Errorf("%.10s: allocated %d MB", body, n)
		}
	}
}

// TestEpoch reads and writes times as APIs do (AWS CLI,
// examples/iot/list-violation-events.rst has 1560279000.0).
func TestEpoch(t *testing.T) {
	for text, want := range map[string]string{
		"1560279000.0":  "2019-06-11T18:50:00Z",
		"1560279000.25": "2019-06-11T18:50:00.25Z",
		"1.560279e9":    "2019-06-11T18:50:00Z",
		"-0.5":          "1969-12-31T23:59:59.5Z",
		`"2019-06-11"`:  "",
		"1e12":          "",
	} {
		var got Epoch
		err := json.Unmarshal([]byte(text), &got)
		if (err != nil) != (want == "") {
			t.Errorf("%s: %v", text, err)
		} else if want != "" && time.Time(got).Format(time.RFC3339Nano) != want {
			t.Errorf("%s: got %s, want %s", text, time.Time(got).Format(time.RFC3339Nano), want)
		}
	}
	for millis, want := range map[int64]string{1560279000250: "1560279000.25", 1560279000000: "1560279000", 1: "0.001", 1795381430690: "1795381430.69"} {
		if got, err := json.Marshal(Epoch(time.UnixMilli(millis))); err != nil || string(got) != want {
			t.Errorf("%d: got %s, want %s", millis, got, want)
		}
	}
}

// FuzzDecode holds what is decoded to what encoding/json makes of it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"chapters":[{"name":"B","pages":5,"words":300,"rating":1.5,"marks":[1,2.5]}],"note":{"a":[null,true]}}`))
	f.Add([]byte(`{"shelves":{"a":{"city":"a"},"a":null}}`))
	f.Add([]byte(`{"chapters":null,"title":"\ud800"} `))
	f.Add([]byte("{\"a\xff\":[[[[{}]]]]}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var strict, lax bookInput
		if err := decodeStrict(body, &strict); err != nil {
			if e := toError(err); e.Type != "InvalidRequestException" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if err := json.Unmarshal(body, &lax); err != nil {
			t.Fatalf("taken, though it's no JSON: %v", err)
		}
		if !reflect.DeepEqual(strict, lax) {
			t.Errorf("%s: %+v, encoding/json has %+v", body, strict, lax)
		}
	})
}
