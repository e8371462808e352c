package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/metrics"
)

// stateFile is the name of the state file in the work folder.
const stateFile = "state.json"

// maxStateSize bounds what is read of a state file, in bytes. One interface
// takes about 100.
const maxStateSize = 4 << 20

// state is what the agent remembers over a restart.
type state struct {
	// ThingName is the thing's, for a start without it.
	ThingName string `json:"thing,omitempty"`
	// Configuration is the last good one, as [Config.Document] writes it.
	Configuration map[string]any `json:"configuration,omitempty"`
	// ProcPath is the last one that could be read.
	ProcPath string `json:"proc_path,omitempty"`
	// Exited is when a process last ended to be started again, in seconds since
	// 1970.
	Exited int64 `json:"exited,omitempty"`
	// ReportID is the last one used, whether or not its report was sent.
	ReportID int64 `json:"report_id"`
	// Baseline is the last sample's.
	Baseline *metrics.Baseline `json:"baseline,omitempty"`
	// Published is the machine's uptime when the last report left, if that was
	// later than its sample. It is of the boot of Baseline.
	Published time.Duration `json:"published_uptime_ns,omitempty"`
}

// nextReportID returns an id greater than every earlier one: the epoch second
// as AWS's agents send it, or the last id plus one while the clock is behind.
func (s *state) nextReportID(now time.Time) int64 {
	s.ReportID = max(now.Unix(), s.ReportID+1)
	return s.ReportID
}

// loadState reads the state file. A missing one is no error; with any other
// error the state is empty and usable.
func loadState(folder string) (state, error) {
	// Without O_NONBLOCK a FIFO of that name would block for ever.
	f, err := os.OpenFile(filepath.Join(folder, stateFile), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return state{}, err
	} else if !info.Mode().IsRegular() {
		return state{}, fmt.Errorf("%s is not a regular file", f.Name())
	}
	s, err := parseState(f)
	if err != nil {
		return state{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return s, nil
}

func parseState(r io.Reader) (state, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxStateSize+1))
	if err != nil {
		return state{}, err
	}
	if len(text) > maxStateSize {
		return state{}, fmt.Errorf("more than %d bytes", maxStateSize)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return state{}, err
	}
	if s.ThingName != "" && report.CheckThingName(s.ThingName) != nil {
		return state{}, errors.New("thing is not the name of one")
	}
	if s.ReportID < 0 || s.ReportID >= report.MaxID {
		return state{}, fmt.Errorf("report_id %d, want 0 to %d", s.ReportID, report.MaxID-1)
	}
	return s, nil
}
