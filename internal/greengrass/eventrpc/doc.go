// Package eventrpc is event-stream RPC, the protocol that a Greengrass v2
// component speaks with its nucleus over a Unix socket.
//
// # Frames
//
// A [Message] travels as one frame of AWS's event-stream encoding: lengths,
// headers, payload, two CRC-32 sums. The bytes are the work of aws-sdk-go-v2's
// eventstream codec; [Reader] adds the cap on a frame's length that the codec
// lacks. Three int32 headers are on every frame: :message-type,
// :message-flags and :stream-id.
//
// # Connection
//
// The client sends CONNECT with its token on stream 0; the server answers
// CONNECT_ACK with the flag [ConnectionAccepted], or refuses: the Java nucleus
// with an ack without the flag, nucleus lite by closing the connection.
//
// # Streams
//
// Every operation is a stream of its own. Its id is the last one's plus one,
// in wire order: on the Java nucleus a gap or a reused id ends the connection.
// A unary operation has one answer. A subscription's first answer is the
// response, what follows are events, told apart by the service-model-type
// header. An APPLICATION_ERROR, or the flag [TerminateStream], ends a stream;
// the connection lives on. PROTOCOL_ERROR and INTERNAL_ERROR end the
// connection.
//
// # The client's end
//
// [Handshake] makes a [Conn]; [Conn.Call] and [Conn.Open] are operations. One
// goroutine reads and never waits for a consumer: a [Stream] whose events are
// not received loses the oldest. One goroutine writes, and gives out stream ids
// as it does. The first error ends the connection for all; whoever uses it
// makes another.
//
// The package knows nothing of Greengrass' operations: payloads are bytes. The
// operations are package greengrass', the server's side of them is package
// localcore's.
package eventrpc
