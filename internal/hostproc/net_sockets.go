package hostproc

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// State is the state of a socket, as the kernel numbers it
// (include/net/tcp_states.h).
type State uint8

// The states of the sockets that are visited.
const (
	Established State = 0x01 // TCP, and a UDP socket that is connected
	FinWait1    State = 0x04 // TCP: this end has closed, the peer has not confirmed it yet
	FinWait2    State = 0x05 // TCP: this end has closed, the peer may send on
	Close       State = 0x07 // a UDP socket that is not connected
	CloseWait   State = 0x08 // TCP: the peer has closed, this end may send on
	Listen      State = 0x0A // TCP only: a UDP socket that waits is in Close
)

// HalfClosed reports whether one end of a TCP connection has closed it and the
// other has not.
func (s State) HalfClosed() bool { return s == FinWait1 || s == FinWait2 || s == CloseWait }

// Socket is a row of a socket table. IPv4 addresses in a table of IPv6 (those of
// a dual-stack listener's connections) are given as IPv4.
type Socket struct {
	Local, Remote netip.AddrPort
	State         State
}

// TCP visits the host's TCP sockets that listen, are established or half closed,
// those of IPv4 before those of IPv6. All others are passed over at little cost:
// a busy host has hundreds of thousands in TIME_WAIT.
//
// The tables change as they are read, so that one socket may be visited twice,
// also in two states.
//
// The error is a [*RowsError] if malformed rows are all that went wrong. After
// any other error a table was not read, or not to its end.
func (h *Host) TCP(visit func(Socket)) error { return h.sockets(&tcp, visit) }

// UDP visits the host's UDP sockets. Order and errors are as those of [Host.TCP].
func (h *Host) UDP(visit func(Socket)) error { return h.sockets(&udp, visit) }

// sockets asks the kernel, or else reads the tables. What the kernel has told
// before an error is true, and is visited again. That it knows no sockets at all
// is not taken on its word: only a table shows by its header that it is one.
func (h *Host) sockets(p *protocol, visit func(Socket)) error {
	if !p.refused.Load() && h.ownNetwork() {
		visited, err := p.ask(visit)
		if err == nil && visited > 0 {
			return nil
		}
		if err != nil && lasting(err) {
			p.refused.Store(true)
		}
	}
	return readTables(filepath.Join(h.netDir, p.file), p.states, visit)
}

// readTables reads the table file and its IPv6 counterpart.
func readTables(file string, states stateSet, visit func(Socket)) error {
	lines := bufio.NewReaderSize(nil, maxRow)
	var faults RowsError
	if err := readTable(lines, file, addressDigits4, states, visit, &faults); err != nil {
		return err
	}
	err := readTable(lines, file+"6", addressDigits6, states, visit, &faults)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is absent if IPv6 is switched off
		return err
	}
	return faults.orNil()
}

// readTable reads one table and adds its rows to faults.
func readTable(lines *bufio.Reader, file string, digits int, states stateSet, visit func(Socket), faults *RowsError) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines.Reset(f)
	before := faults.Bad
	if err := parseSockets(lines, digits, states, visit, faults); err != nil {
		return fmt.Errorf("parsing %s: %w", file, err)
	}
	if before == 0 && faults.Bad > 0 {
		faults.First = fmt.Errorf("parsing %s: %w", file, faults.First)
	}
	return nil
}
