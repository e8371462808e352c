package greengrass

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// Environment is what a nucleus tells its components.
type Environment struct {
	Socket string // path of the IPC socket, may be relative to the work folder
	Token  string // presented in the handshake; a secret
	// ThingName may be empty: nucleus lite starts components with an empty one
	// while its configuration daemon is slow (recipe-runner/src/runner.c).
	ThingName string
	Region    string // may be empty
	Version   string // the nucleus', may be empty
}

// ReadEnvironment reads the variables that a nucleus sets, by means of
// [os.Getenv] or the like. The error names those that are missing.
func ReadEnvironment(getenv func(string) string) (Environment, error) {
	var missing []string
	required := func(name string) string {
		v := getenv(name)
		if v == "" {
			missing = append(missing, name)
		}
		return v
	}
	e := Environment{
		Socket:    required("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"),
		Token:     required("SVCUID"),
		ThingName: getenv("AWS_IOT_THING_NAME"),
		Region:    getenv("AWS_REGION"),
		Version:   getenv("GGC_VERSION"),
	}
	if len(missing) > 0 {
		return Environment{}, fmt.Errorf("environment: %s not set", strings.Join(missing, ", "))
	}
	return e, nil
}

// Dial connects to the nucleus' socket. Where the Java nucleus' root folder
// has a long name the path is relative: the process must not have left its
// work folder.
func (e Environment) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", e.Socket)
}
