package hostproc

import (
	"errors"
	"io"
	"os"
	"strings"
)

// Processes returns the number of the host's processes, counted as folders of
// the proc file system. Under hidepid it counts those of the reader's user.
func (h *Host) Processes() (int, error) {
	folder, err := os.Open(h.root)
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	const batch = 256 // names held at a time; busy hosts have tens of thousands
	for count := 0; ; {
		names, err := folder.Readdirnames(batch)
		for _, name := range names {
			if strings.Trim(name, "0123456789") == "" {
				count++
			}
		}
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
