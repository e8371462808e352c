package localcore

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// output returns the writer of one of the process' streams: what the caller of
// New wants of it, and the component's log.
func (p *Process) output(level slog.Level, stream string, plain io.Writer) io.Writer {
	var writers []io.Writer
	if plain != nil {
		writers = append(writers, plain)
	}
	if log := p.core.opts.ComponentLog; log != nil && level >= p.core.opts.ComponentLogLevel {
		if !p.core.lite() {
			log = &componentLog{w: log, component: p.component.name, level: level, stream: stream}
		}
		writers = append(writers, log)
	}
	if len(writers) == 0 {
		return nil
	}
	return io.MultiWriter(writers...)
}

// componentLog writes lines as the Java nucleus does to a component's log file:
// standard output as INFO, standard error as WARN (run of 2.18). Nucleus lite
// leaves that to the journal, which takes the lines as they are.
type componentLog struct {
	w                 io.Writer
	component, stream string
	level             slog.Level
}

func (l *componentLog) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		_, err := fmt.Fprintf(l.w, "%s [%v] (Copier) %s: %s. %s. {scriptName=services.%s.lifecycle.run.Script, serviceName=%s, currentState=RUNNING}\n",
			time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), l.level, l.component, l.stream, bytes.TrimRight(line, "\n"), l.component, l.component)
		if err != nil {
			return 0, err
		}
	}
	return len(b), nil
}
