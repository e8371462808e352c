package hostproc

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// message returns a netlink message as the kernel answers a dump.
func message(kind, flags uint16, sequence uint32, body ...byte) []byte {
	m := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(m[0:], uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags|unix.NLM_F_MULTI)
	binary.NativeEndian.PutUint32(m[8:], sequence)
	return append(m, body...)
}

func errorNumber(number int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(-number)) }

func TestParseDump(t *testing.T) {
	row := message(unix.RTM_NEWADDR, 0, dumpSequence, make([]byte, unix.SizeofIfAddrmsg)...)
	for _, test := range []struct {
		name          string
		messages      [][]byte
		visited       int
		done, changed bool
		err           error
	}{
		{"rows", [][]byte{row, row}, 2, false, false, nil},
		{"rows and the end", [][]byte{row, message(unix.NLMSG_DONE, 0, dumpSequence, errorNumber(0)...)}, 1, true, false, nil},
		{"the end of older kernels", [][]byte{message(unix.NLMSG_DONE, 0, dumpSequence)}, 0, true, false, nil},
		{"a table that changed", [][]byte{message(unix.RTM_NEWADDR, unix.NLM_F_DUMP_INTR, dumpSequence), row}, 2, false, true, nil},
		{"a table that changed at its end", [][]byte{message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, dumpSequence)}, 0, true, true, nil},
		{"refused", [][]byte{message(unix.NLMSG_ERROR, 0, dumpSequence, errorNumber(int32(unix.EPERM))...)}, 0, true, false, unix.EPERM},
		{"failed later", [][]byte{row, message(unix.NLMSG_DONE, 0, dumpSequence, errorNumber(int32(unix.ENOMEM))...)}, 1, true, false, unix.ENOMEM},
		{"the answer of another request", [][]byte{message(unix.NLMSG_DONE, 0, dumpSequence+1), row}, 1, false, false, nil},
		{"cut", [][]byte{row[:len(row)-4]}, 0, false, false, errCutMessage},
		{"cut after a row", [][]byte{row, row[:len(row)-4]}, 1, false, false, errCutMessage},
		{"shorter than its header", [][]byte{row, make([]byte, unix.SizeofNlMsghdr)}, 1, false, false, errCutMessage},
	} {
		var datagram []byte
		for _, m := range test.messages {
			datagram = append(datagram, m...)
		}
		visited := 0
		done, changed, err := parseDump(datagram, func(uint16, []byte) error { visited++; return nil })
		if visited != test.visited || done != test.done || changed != test.changed || !errors.Is(err, test.err) {
			t.Errorf("%s: %d visited, done %v, changed %v, error %v", test.name, visited, done, changed, err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := parseDump(row, func(uint16, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want the visitor's", err)
	}
}

// A copy of a tree is never taken for the network of this process.
func TestOwnNetwork(t *testing.T) {
	if open(t, "testdata/native").ownNetwork() {
		t.Error("testdata/native is taken for the network of this process")
	}
}
