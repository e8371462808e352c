package eventrpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// MessageType is the value of the :message-type header.
type MessageType int32

// The message types of event-stream RPC
// (aws-c-event-stream, include/aws/event-stream/event_stream_rpc.h).
const (
	ApplicationMessage MessageType = 0
	ApplicationError   MessageType = 1
	Ping               MessageType = 2
	PingResponse       MessageType = 3
	Connect            MessageType = 4
	ConnectAck         MessageType = 5
	ProtocolError      MessageType = 6
	InternalError      MessageType = 7
)

func (t MessageType) String() string {
	names := [...]string{
		"APPLICATION_MESSAGE", "APPLICATION_ERROR", "PING", "PING_RESPONSE",
		"CONNECT", "CONNECT_ACK", "PROTOCOL_ERROR", "INTERNAL_ERROR",
	}
	if t < 0 || int(t) >= len(names) {
		return fmt.Sprintf("message type %d", int32(t))
	}
	return names[t]
}

// Flags is the bit set of the :message-flags header.
type Flags int32

const (
	// ConnectionAccepted on a CONNECT_ACK says that the token was taken.
	ConnectionAccepted Flags = 1
	// TerminateStream says that the sender will send no more on this stream.
	TerminateStream Flags = 2
)

// Header names. Each peer matches them by name, in any order; the C runtime
// without regard to case.
const (
	HeaderType        = ":message-type"
	HeaderFlags       = ":message-flags"
	HeaderStreamID    = ":stream-id"
	HeaderVersion     = ":version"
	HeaderContentType = ":content-type"
	HeaderOperation   = "operation"
	HeaderModelType   = "service-model-type"
	HeaderToken       = "svcuid" // of nucleus lite's CONNECT_ACK to a component's name
)

// Version is the only protocol version there is; CONNECT carries it.
const Version = "0.1.0"

// ContentTypeJSON marks the payload of every modelled message.
const ContentTypeJSON = "application/json"

// Limits of one frame, headers and checksums included, in bytes.
const (
	// MaxFrame is the C runtime's cap, which the Java nucleus inherits.
	MaxFrame = 24 << 20
	// MaxFrameLite is the cap of nucleus lite, in both directions: a longer
	// frame resets the connection without an answer.
	MaxFrameLite = 10_000

	preludeSize = 12
	minFrame    = preludeSize + 4
)

// Message is one frame: the three numbers that every frame carries, its other
// headers in wire order, and the payload, JSON in all but a few cases.
type Message struct {
	Type     MessageType
	Flags    Flags
	StreamID int32
	Headers  eventstream.Headers
	Payload  []byte
}

// Text returns the string header of that name, compared without regard to
// case as the C runtime does, or "".
func (m *Message) Text(name string) string {
	for _, h := range m.Headers {
		if v, ok := h.Value.(eventstream.StringValue); ok && strings.EqualFold(h.Name, name) {
			return string(v)
		}
	}
	return ""
}

// SetText appends a string header.
func (m *Message) SetText(name, value string) {
	m.Headers = append(m.Headers, eventstream.Header{Name: name, Value: eventstream.StringValue(value)})
}

// Terminates reports whether the message is its sender's last on the stream.
func (m *Message) Terminates() bool { return m.Flags&TerminateStream != 0 }

// Layout is where a peer writes the three number headers. Nobody depends on
// it; it is here so that captured frames can be reproduced byte for byte.
type Layout int

const (
	// NumbersFirst is the order of nucleus lite and of the Node SDK's requests.
	NumbersFirst Layout = iota
	// NumbersLast is the order of the C runtime, thus of the Java nucleus, and
	// of the Node SDK's CONNECT.
	NumbersLast
)

// Encode returns the frame of m. It fails on a header that does not fit its
// length field, never on the payload.
func (m *Message) Encode(layout Layout) ([]byte, error) {
	numbers := eventstream.Headers{
		{Name: HeaderType, Value: eventstream.Int32Value(m.Type)},
		{Name: HeaderFlags, Value: eventstream.Int32Value(m.Flags)},
		{Name: HeaderStreamID, Value: eventstream.Int32Value(m.StreamID)},
	}
	headers := make(eventstream.Headers, 0, len(numbers)+len(m.Headers))
	if layout == NumbersLast {
		headers = append(append(headers, m.Headers...), numbers...)
	} else {
		headers = append(append(headers, numbers...), m.Headers...)
	}
	var frame bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&frame, eventstream.Message{Headers: headers, Payload: m.Payload}); err != nil {
		return nil, fmt.Errorf("encode %v on stream %d: %w", m.Type, m.StreamID, err)
	}
	return frame.Bytes(), nil
}

// ErrFrameTooLong is wrapped by the error of a frame over the reader's or the
// writer's limit.
var ErrFrameTooLong = errors.New("frame too long")

// Reader reads frames. It allocates nothing for a frame before it has checked
// the announced lengths against its limit. After any error the framing is
// lost and the connection must be closed. Not safe for concurrent use.
type Reader struct {
	r     io.Reader
	limit int
	buf   []byte
}

// NewReader reads frames of at most limit bytes from r.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: r, limit: limit}
}

// Read returns the next message, which the caller may keep. The error is
// io.EOF, unwrapped, if the peer closed between two frames.
func (r *Reader) Read() (*Message, error) {
	var prelude [preludeSize]byte
	if _, err := io.ReadFull(r.r, prelude[:]); err != nil {
		if err == io.EOF {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("read frame prelude: %w", err)
	}
	total := binary.BigEndian.Uint32(prelude[0:])
	headers := binary.BigEndian.Uint32(prelude[4:])
	switch {
	case total > uint32(r.limit):
		return nil, fmt.Errorf("%w: %d bytes announced, limit %d", ErrFrameTooLong, total, r.limit)
	case total < minFrame || headers > total-minFrame:
		return nil, fmt.Errorf("frame prelude: total length %d with %d bytes of headers", total, headers)
	case crc32.ChecksumIEEE(prelude[:8]) != binary.BigEndian.Uint32(prelude[8:]):
		return nil, errors.New("frame prelude: wrong checksum") // do not wait for what it announces
	}
	if cap(r.buf) < int(total) {
		r.buf = make([]byte, total)
	}
	frame := r.buf[:total]
	copy(frame, prelude[:])
	if _, err := io.ReadFull(r.r, frame[preludeSize:]); err != nil {
		return nil, fmt.Errorf("read frame of %d bytes: %w", total, err)
	}
	if cap(r.buf) > 64<<10 {
		r.buf = nil // one large frame must not pin its buffer for ever
	}
	return decode(frame)
}

func decode(frame []byte) (*Message, error) {
	raw, err := eventstream.NewDecoder().Decode(bytes.NewReader(frame), nil)
	if err != nil {
		return nil, fmt.Errorf("decode frame: %w", err)
	}
	m := &Message{Payload: raw.Payload}
	for _, h := range raw.Headers {
		var number *int32
		switch strings.ToLower(h.Name) {
		case HeaderType:
			number = (*int32)(&m.Type)
		case HeaderFlags:
			number = (*int32)(&m.Flags)
		case HeaderStreamID:
			number = &m.StreamID
		default:
			m.Headers = append(m.Headers, h)
			continue
		}
		v, ok := h.Value.(eventstream.Int32Value)
		if !ok {
			return nil, fmt.Errorf("decode frame: header %s is not an int32", h.Name)
		}
		*number = int32(v)
	}
	return m, nil
}
