package greengrass

import (
	"context"
	"maps"
	"net"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadEnvironment(t *testing.T) {
	// As captured of a component of nucleus lite 2.6.0.
	full := map[string]string{
		"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": "/var/lib/greengrass/gg-ipc.socket",
		"SVCUID":             secret,
		"AWS_IOT_THING_NAME": "example-thing",
		"AWS_REGION":         "eu-central-1",
		"GGC_VERSION":        "2.6.0",
	}
	tests := []struct {
		name    string
		without []string
		want    Environment
		err     string
	}{
		{"all", nil, Environment{"/var/lib/greengrass/gg-ipc.socket", secret, "example-thing", "eu-central-1", "2.6.0"}, ""},
		{"the optional ones missing", []string{"AWS_REGION", "GGC_VERSION"}, Environment{"/var/lib/greengrass/gg-ipc.socket", secret, "example-thing", "", ""}, ""},
		{"no thing", []string{"AWS_IOT_THING_NAME"}, Environment{"/var/lib/greengrass/gg-ipc.socket", secret, "", "eu-central-1", "2.6.0"}, ""},
		{"no socket", []string{"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"}, Environment{}, "environment: AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT not set"},
		{"no component", []string{"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", "SVCUID", "AWS_IOT_THING_NAME"}, Environment{},
			"environment: AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT, SVCUID not set"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			env := make(map[string]string)
			maps.Copy(env, full)
			for _, k := range test.without {
				env[k] = "" // nucleus lite sets what it does not know to nothing
			}
			got, err := ReadEnvironment(func(name string) string { return env[name] })
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("environment (-want +got):\n%s", d)
			}
		})
	}
}

func TestDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ipc.socket")
	e := Environment{Socket: path}
	if _, err := e.Dial(t.Context()); err == nil {
		t.Error("no error without a socket")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := e.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}
