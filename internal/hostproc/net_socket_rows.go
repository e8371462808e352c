package hostproc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// stateSet is a set of states, of which the kernel has fewer than 16.
type stateSet uint16

func statesOf(states ...State) (set stateSet) {
	for _, s := range states {
		set |= 1 << s
	}
	return set
}

func (set stateSet) has(s State) bool { return s < 16 && set>>s&1 == 1 }

// The digits of an address in the tables of IPv4 and of IPv6.
const (
	addressDigits4 = 8
	addressDigits6 = 32
)

// maxRow bounds a row; the kernel's have at most 200 bytes. It is also the size
// of the buffer, as a line must fit into it.
const maxRow = 64 << 10

// errLongRow ends the reading of a table: no kernel writes such a line.
var errLongRow = fmt.Errorf("longer than %d bytes", maxRow)

// parseSockets visits the sockets of a table that are in one of the states.
//
//	sl  local_address rem_address   st tx_queue rx_queue ...
//	 0: 0100090A:03ED 00000000:0000 0A 00000000:00000000 ...
//
// The reader is our own because prometheus/procfs (v0.23.0) keeps 200 bytes of
// every row of a table, reported or not, returns nothing if a single row is
// malformed, panics on short rows, and takes a TCP table for a UDP one if there
// is "udp" in its path. Here memory does not grow with the table. Only the four
// columns up to the state are parsed, and of rows in other states only that.
//
// The kernel writes the header even if there are no sockets. A file without it,
// as on WSL 1, is no table, so its lack of rows says nothing about sockets.
func parseSockets(lines *bufio.Reader, digits int, states stateSet, visit func(Socket), faults *RowsError) error {
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errLongRow
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", number, err)
		}
		switch {
		case number == 1:
			if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("sl")) {
				return fmt.Errorf("line 1: the header is missing in %d bytes", len(line))
			}
		case blank(line):
		default:
			socket, fault := parseSocket(line, digits, states)
			faults.add(number, len(line), fault)
			if socket.State != 0 {
				visit(socket)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// Why a row is malformed. What it holds is not said: errors are logged.
var (
	errRowLayout = errors.New("it is not a number, two addresses with ports, and a state")
	errRowDigits = errors.New("a number is not hexadecimal")
)

// parseSocket parses a row, whose columns have a fixed width from the first
// colon on. A row in a state that is not wanted gives the zero Socket.
func parseSocket(row []byte, digits int, states stateSet) (Socket, error) {
	width := digits + len(":0000")
	start := bytes.IndexByte(row, ':') + len(": ")
	remote := start + width + 1
	state := remote + width + 1
	end := state + 2
	if len(row) < end || row[start-1] != ' ' || row[remote-1] != ' ' || row[state-1] != ' ' ||
		row[remote-6] != ':' || row[state-6] != ':' || len(row) > end && row[end] != ' ' && row[end] != '\n' {
		return Socket{}, errRowLayout
	}
	value, ok := parseHex(row[state:end])
	if !ok {
		return Socket{}, errRowDigits
	}
	s := Socket{State: State(value)}
	if !states.has(s.State) {
		return Socket{}, nil
	}
	var ok1, ok2 bool
	s.Local, ok1 = parseAddrPort(row[start : remote-1])
	s.Remote, ok2 = parseAddrPort(row[remote : state-1])
	if !ok1 || !ok2 {
		return Socket{}, errRowDigits
	}
	return s, nil
}

// parseAddrPort parses "0100090A:03ED": the words of an address, each printed as
// a number of the host's byte order, and a port.
func parseAddrPort(text []byte) (netip.AddrPort, bool) {
	colon := len(text) - len(":0000")
	port, valid := parseHex(text[colon+1:])
	var b [16]byte
	for i := 0; i < colon; i += 8 {
		word, ok := parseHex(text[i : i+8])
		valid = valid && ok
		binary.NativeEndian.PutUint32(b[i/2:], word)
	}
	addr := netip.AddrFrom16(b).Unmap()
	if colon == addressDigits4 {
		addr = netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrPortFrom(addr, uint16(port)), valid
}

// notHex marks bytes in hexValue that are no digits.
const notHex = 0xFF

// hexValue holds the value of each digit.
var hexValue = func() (values [256]byte) {
	for i := range values {
		values[i] = notHex
	}
	for value, digit := range "0123456789ABCDEF" {
		values[digit] = byte(value)
		values[digit|' '] = byte(value) // the lower-case letter; digits have that bit already
	}
	return values
}()

// parseHex returns the number that up to eight digits stand for.
func parseHex(digits []byte) (number uint32, ok bool) {
	var all byte
	for _, d := range digits {
		value := hexValue[d]
		all |= value
		number = number<<4 | uint32(value&0xF)
	}
	return number, all < 16
}
