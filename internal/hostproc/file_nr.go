package hostproc

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
)

// OpenFiles returns the number of file handles in use on the host, from
// sys/fs/file-nr.
func (h *Host) OpenFiles() (int64, error) {
	return parseFile(filepath.Join(h.root, "sys/fs/file-nr"), parseFileNr)
}

// parseFileNr takes "448 0 2466177": handles allocated, unused ones among them
// (0 since Linux 2.6), and the limit.
func parseFileNr(r io.Reader) (int64, error) {
	fields, err := firstLine(r)
	if err != nil {
		return 0, err
	}
	if len(fields) != 3 {
		return 0, fmt.Errorf("%d numbers instead of 3", len(fields))
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("the number of open files is no number")
	}
	return n, nil
}
