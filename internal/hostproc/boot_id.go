package hostproc

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
)

// BootID returns the UUID that the kernel has drawn for this boot, from
// sys/kernel/random/boot_id.
func (h *Host) BootID() (string, error) {
	return parseFile(filepath.Join(h.root, "sys/kernel/random/boot_id"), parseBootID)
}

// parseBootID takes a UUID in lower case.
func parseBootID(r io.Reader) (string, error) {
	fields, err := firstLine(r)
	if err != nil {
		return "", err
	}
	if len(fields) != 1 || len(fields[0]) != 36 || strings.Trim(fields[0], "0123456789abcdef-") != "" {
		return "", errors.New("not a UUID")
	}
	return fields[0], nil
}
