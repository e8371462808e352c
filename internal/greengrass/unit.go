package greengrass

import (
	"bufio"
	"io"
	"os"
	"strings"
)

// LiteComponent returns the name of the component whose systemd unit this
// process runs in, "" if nucleus lite has not started it.
func LiteComponent() string {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	defer f.Close()
	return parseUnit(f)
}

// parseUnit finds a unit ggl.NAME.service, as nucleus lite names a component's
// (recipe2unit/src/unit_file_generator.c), in a file such as
//
//	0::/system.slice/ggl.com.example.agent.service
//
// In a container the cgroup is the container's.
func parseUnit(r io.Reader) string {
	const maxFile = 64 << 10
	for lines := bufio.NewScanner(io.LimitReader(r, maxFile)); lines.Scan(); {
		line := lines.Text()
		unit, ok := strings.CutPrefix(line[strings.LastIndexByte(line, '/')+1:], "ggl.")
		name, isService := strings.CutSuffix(unit, ".service")
		// ggl.core.NAME.service are lite's own daemons.
		if ok && isService && name != "" && !strings.HasPrefix(name, "core.") {
			return name
		}
	}
	return ""
}
