package report

import (
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	for got, want := range map[string]string{
		Topic("core-1", JSON):         "$aws/things/core-1/defender/metrics/json",
		Topic("core-1", CBOR):         "$aws/things/core-1/defender/metrics/cbor",
		AcceptedTopic("core-1", JSON): "$aws/things/core-1/defender/metrics/json/accepted",
		RejectedTopic("core-1", CBOR): "$aws/things/core-1/defender/metrics/cbor/rejected",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestParseTopic(t *testing.T) {
	for topic, want := range map[string]struct {
		thing  string
		format Format
	}{
		"$aws/things/core-1/defender/metrics/json": {"core-1", JSON},
		"$aws/things/Kühl:1/defender/metrics/cbor": {"Kühl:1", CBOR},
	} {
		thing, format, ok := ParseTopic(topic)
		if !ok || thing != want.thing || format != want.format {
			t.Errorf("%s: %q, %v, %t", topic, thing, format, ok)
		}
	}
	for _, topic := range []string{
		"",
		"$aws/things//defender/metrics/json",
		"$aws/things/a/b/defender/metrics/json",
		"$aws/things/+/defender/metrics/json",
		"$aws/things/core-1/Defender/metrics/json",
		"$aws/things/core-1/defender/metrics/JSON",
		"$aws/things/core-1/defender/metrics/",
		"$aws/things/core-1/defender/metrics/json/accepted",
		"$aws/things/core-1/defender/metrics/cbor/rejected",
		"things/core-1/defender/metrics/json",
		"$aws/things/a/defender/metrics/json/defender/metrics/json",
	} {
		if thing, format, ok := ParseTopic(topic); ok {
			t.Errorf("%s: %q, %v", topic, thing, format)
		}
	}
}

func TestCheckThingName(t *testing.T) {
	for _, name := range []string{"a", "core-1", "my core", "Kühlschrank", "a:b_c.d", strings.Repeat("ä", 64)} {
		if err := CheckThingName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                            "thing name is empty",
		strings.Repeat("ä", 64) + "x": `thing name "` + strings.Repeat("ä", 64) + `" has 129 bytes, want at most 128`,
		"a\xff":                       `thing name "a\xff" is not valid UTF-8`,
		"a\nb":                        `thing name "a\nb" has a control character`,
		"a\u0085":                     `thing name "a\u0085" has a control character`,
		"a/b":                         `thing name "a/b" has a character of topics: / + #`,
		"+":                           `thing name "+" has a character of topics: / + #`,
		"a#":                          `thing name "a#" has a character of topics: / + #`,
	} {
		if err := CheckThingName(name); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

func TestParseEncoding(t *testing.T) {
	for _, enc := range encodings {
		format, err := ParseFormat(enc.Format.String())
		if err != nil || format != enc.Format {
			t.Errorf("%v: %v, %v", enc.Format, format, err)
		}
		names, err := ParseNames(enc.Names.String())
		if err != nil || names != enc.Names {
			t.Errorf("%v: %v, %v", enc.Names, names, err)
		}
	}
	if _, err := ParseFormat("JSON"); err == nil || err.Error() != `format "JSON", want json or cbor` {
		t.Errorf("JSON: %v", err)
	}
	if _, err := ParseNames(""); err == nil || err.Error() != `names "", want long or short` {
		t.Errorf("no names: %v", err)
	}
}
