package hostproc

import (
	"errors"
	"io"
	"path/filepath"
	"regexp"
)

// BootID returns the UUID that the kernel has drawn for this boot, from
// sys/kernel/random/boot_id.
func (h *Host) BootID() (string, error) {
	return parseFile(filepath.Join(h.root, "sys/kernel/random/boot_id"), parseBootID)
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func parseBootID(r io.Reader) (string, error) {
	fields, err := firstLine(r)
	if err != nil {
		return "", err
	}
	if len(fields) != 1 || !uuid.MatchString(fields[0]) {
		return "", errors.New("not a UUID")
	}
	return fields[0], nil
}
