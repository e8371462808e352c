package report

import (
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzReadCBOR holds the parser to what package cbor makes of the same bytes.
func FuzzReadCBOR(f *testing.F) {
	for _, name := range []string{"python-agent-dry-run.cbor", "python-sdk-scenario-long.cbor", "python-sdk-scenario-short-broken.cbor"} {
		f.Add(readTestdata(f, name))
	}
	many := map[string]int{}
	for i := range 2 * maxCompared {
		many[string(rune('a'+i))] = i
	}
	encoded, err := cbor.Marshal(many)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	f.Add(append(append([]byte{0xb8, 33}, encoded[2:]...), 0x61, 'a', 0)) // "a" twice
	for _, seed := range []string{
		"\xa1\x61a\x18\xff", "\xa1\x61a\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x61a\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", "\xa1\x61a\x3b\x80\x00\x00\x00\x00\x00\x00\x00",
		"\xa4\x61a\xf4\x61b\xf5\x61c\xf6\x61d\xf7", "\xa1\x61a\xf9\x3c\x00", "\xa1\x61a\xfa\x3f\xc0\x00\x00", "\xa1\x61a\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", "\xa1\x61a\xf8\x20",
		"\xbf\x61a\x9f\x01\x02\xff\xff", "\xbf\x61a\xff", "\xa1\x7f\x61a\xff\x01", "\xa1\x61a\x7f\x61b\xff", "\xa1\x61a\x41b", "\xa1\x61a\xc0\x61b", "\xa1\x01\x02",
		"\xa2\x61a\x01\x61a\x02", "\xa1\x61\xff\x01", "\xa1\x61a\x61\xff", "\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x61a\x78\xff", "\xa1\x61a\x1c", "\xa0\xa0", "\xa0", "",
		"\xa1\x61a\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80", "\xa1\x61a\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80",
		"\xa1\x61a\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := readCBOR(data)
		if !ok {
			return // and package cbor decides
		}
		defer got.free()
		want, err := decodeCBOR(data)
		if err != nil {
			t.Fatalf("%x: it is %v", data, err)
		}
		defer want.free()
		if diff := cmp.Diff(plain(want.root()), plain(got.root()), cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("%x (-want +got):\n%s", data, diff)
		}
	})
}
