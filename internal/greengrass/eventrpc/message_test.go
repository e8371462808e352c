package eventrpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
)

// prelude returns the first 12 bytes of a frame, with a right checksum.
func prelude(total, headers uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestReaderRefuses(t *testing.T) {
	good := captured(t, "lite/get-configuration-leaf-response")
	flipped := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	tests := []struct {
		name  string
		input []byte
		want  string
	}{
		{"longer than the limit", prelude(10_001, 0), "frame too long: 10001 bytes announced, limit 10000"},
		{"4 GiB", prelude(1<<32-1, 0), "frame too long"},
		{"length below the minimum", prelude(15, 0), "total length 15 with 0 bytes of headers"},
		{"length zero", prelude(0, 0), "total length 0"},
		{"headers longer than the frame", prelude(20, 5), "total length 20 with 5 bytes of headers"},
		{"prelude checksum", append(prelude(9_999, 0)[:11], 0xaa), "frame prelude: wrong checksum"},
		{"flipped bit in a header", flipped(20), "decode frame"},
		{"flipped bit in the payload", flipped(len(good) - 10), "decode frame"},
		{"flipped bit in the checksum", flipped(len(good) - 1), "decode frame"},
		{"end in the prelude", good[:11], "read frame prelude: unexpected EOF"},
		{"end after the prelude", good[:12], "read frame of"},
		{"end before the last byte", good[:len(good)-1], "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := NewReader(bytes.NewReader(test.input), 10_000).Read()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want an error with %q", m, err, test.want)
			}
			if tooLong := strings.Contains(test.want, "too long"); errors.Is(err, ErrFrameTooLong) != tooLong {
				t.Errorf("ErrFrameTooLong wrapped: %v, want %v", !tooLong, tooLong)
			}
		})
	}
}

func TestReaderWaitsForNothingThatIsNotThere(t *testing.T) {
	// Only the prelude comes: who announces too much, or nonsense, is refused
	// by it alone.
	for _, b := range [][]byte{prelude(1<<30, 0), append(prelude(9_999, 0)[:11], 0xaa)} {
		more := iotest.ErrReader(errors.New("read on"))
		if _, err := NewReader(io.MultiReader(bytes.NewReader(b), more), 10_000).Read(); err == nil || strings.Contains(err.Error(), "read on") {
			t.Errorf("prelude %x: %v", b, err)
		}
	}
}

func TestReaderReadsFramesInPieces(t *testing.T) {
	var stream []byte
	var want []string
	for _, v := range vectors(t) {
		stream = append(stream, v.frame(t)...)
		want = append(want, v.Payload)
	}
	frames := NewReader(iotest.OneByteReader(bytes.NewReader(stream)), MaxIncoming)
	var got []string
	for {
		m, err := frames.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Payload))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("payloads (-want +got):\n%s", d)
	}
}

func TestMessagesOutliveTheReadersBuffer(t *testing.T) {
	first, second := captured(t, "lite/publish-to-iot-core-request"), captured(t, "crt/update-configuration-request")
	frames := NewReader(bytes.NewReader(append(bytes.Clone(first), second...)), MaxIncoming)
	a, err := frames.Read()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := frames.Read(); err != nil {
		t.Fatal(err)
	}
	if got := a.Text(HeaderOperation) + string(a.Payload); got != `aws.greengrass#PublishToIoTCore{"topicName":"agent/in/x","qos":"1","payload":"aGVsbG8="}` {
		t.Errorf("first message became %s", got)
	}
}

func TestHeadersAreFoundInAnyCase(t *testing.T) {
	m := &Message{}
	m.SetText("Service-Model-Type", "a#B")
	if got := m.Text(HeaderModelType); got != "a#B" {
		t.Errorf("got %q", got)
	}
}

func TestEncodeRefusesHeaderOverItsLengthField(t *testing.T) {
	m := &Message{}
	m.SetText(HeaderOperation, strings.Repeat("x", 1<<16))
	if _, err := m.Encode(NumbersFirst); err == nil {
		t.Error("no error")
	}
}

// FuzzReader wants: no panic, nothing taken that is over the limit, and
// whatever was read can be written and read again unchanged.
func FuzzReader(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.frame(f))
	}
	f.Add(prelude(1<<32-1, 1<<32-1))
	f.Add(prelude(16, 0))
	f.Fuzz(func(t *testing.T, input []byte) { readAll(t, input) })
}

// FuzzReaderHeaders gets past the checksums.
func FuzzReaderHeaders(f *testing.F) {
	for _, v := range vectors(f) {
		frame := v.frame(f)
		headers := binary.BigEndian.Uint32(frame[4:])
		f.Add(frame[preludeSize:preludeSize+headers], frame[preludeSize+headers:len(frame)-4])
	}
	f.Fuzz(func(t *testing.T, headers, payload []byte) {
		frame := prelude(uint32(minFrame+len(headers)+len(payload)), uint32(len(headers)))
		frame = append(append(frame, headers...), payload...)
		readAll(t, binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame)))
	})
}

func readAll(t *testing.T, input []byte) {
	const limit = 10_000
	frames := NewReader(bytes.NewReader(input), limit)
	for {
		m, err := frames.Read()
		if err != nil {
			return
		}
		if len(m.Payload) > limit {
			t.Fatalf("%d bytes of payload", len(m.Payload))
		}
		frame, err := m.Encode(NumbersLast)
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewReader(bytes.NewReader(frame), len(frame)).Read()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m, again) && !slices.ContainsFunc(m.Headers, isTimestamp) {
			t.Fatalf("read %#v, written and read again %#v", m, again)
		}
	}
}

// isTimestamp is for headers that the codec reads beyond the years it can write.
func isTimestamp(h eventstream.Header) bool {
	_, ok := h.Value.(eventstream.TimestampValue)
	return ok
}
