package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// options are flags as a command has them.
type options struct {
	listen   string
	interval time.Duration
	throttle bool
	things   int
	sns      []string
}

func (o *options) flags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8787", "")
	flags.DurationVar(&o.interval, "interval", 0, "")
	flags.BoolVar(&o.throttle, "throttle", false, "")
	flags.IntVar(&o.things, "unregistered-things", 100, "")
	flags.StringSliceVar(&o.sns, "sns", nil, "")
	flags.String("config", "", "")
	return flags
}

// environment is a lookup in a map.
func environment(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

// apply reads the file and sets the flags by it.
func apply(t *testing.T, file string, variables map[string]string, args ...string) (options, Sources, error) {
	t.Helper()
	var o options
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	node, err := Parse("d.yaml", strings.NewReader(file))
	if err != nil {
		return o, nil, err
	}
	sources, err := Apply(flags, node, environment(variables), []string{"config"}, map[string]func(Node) error{
		"channels": func(n Node) error { return n.Each(func(string, Node) error { return nil }) },
	})
	return o, sources, err
}

// A flag on the command line wins over the environment, which wins over the file.
func TestPrecedence(t *testing.T) {
	o, sources, err := apply(t, `
# all keys
listen: 127.0.0.1:1
interval: 5s
throttle: true
unregistered-things: 7
sns:
  - arn:a
  - arn:b,c
channels: {}
`, map[string]string{"DEFENDERCTL_LISTEN": "127.0.0.1:2", "DEFENDERCTL_INTERVAL": "6s", "DEFENDERCTL_THROTTLE": ""}, "--listen", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	want := options{"127.0.0.1:3", 6 * time.Second, true, 7, []string{"arn:a", "arn:b,c"}}
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(options{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(Sources{
		"listen": "command line", "interval": "DEFENDERCTL_INTERVAL", "throttle": "d.yaml:5", "unregistered-things": "d.yaml:6", "sns": "d.yaml:8",
	}, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	for _, file := range []string{"", "# nothing\n", "---\n", "~\n"} {
		if o, _, err := apply(t, file, nil); err != nil || o.listen != "127.0.0.1:8787" {
			t.Errorf("%q: %+v, %v", file, o, err)
		}
	}
	if o, _, err := apply(t, "", map[string]string{"DEFENDERCTL_SNS": "a,b", "DEFENDERCTL_UNREGISTERED_THINGS": "3"}); err != nil || len(o.sns) != 2 || o.things != 3 {
		t.Errorf("%+v, %v", o, err)
	}
}

// Whatever is wrong is said with its place, and without the value.
func TestErrors(t *testing.T) {
	for file, want := range map[string]string{
		"lisen: 127.0.0.1:1":                  `d.yaml:1:1: unknown key "lisen", want "listen"`,
		"\nInterval: 5s":                      `d.yaml:2:1: unknown key "Interval", want "interval"`,
		"config: x.yaml":                      `d.yaml:1:1: unknown key "config", want channels, interval, listen, sns, throttle or unregistered-things`,
		"interval: hunter2":                   `d.yaml:1:11: interval: want a duration, such as 30s or 5m`,
		"unregistered-things: hunter2":        `d.yaml:1:22: unregistered-things: want a whole number`,
		"throttle: hunter2":                   `d.yaml:1:11: throttle: want true or false`,
		"listen: [hunter2]":                   `d.yaml:1:9: listen: want one value`,
		"listen:":                             `d.yaml:1:8: listen: want one value`,
		"sns: {a: hunter2}":                   `d.yaml:1:6: sns: want one value`,
		"channels: hunter2":                   `d.yaml:1:11: channels: want keys and values`,
		"listen: a\nlisten: hunter2":          `d.yaml:2:1: key "listen" is there twice`,
		"listen: &a x\nchannels: {x: *a}":     `d.yaml:1:9: listen: anchors and references are not supported`,
		"[hunter2]":                           `d.yaml:1:1: want keys and values, such as listen: 127.0.0.1:8787`,
		"? {a: b}\n: hunter2":                 `d.yaml:1:3: want a word as key`,
		"listen: a\n---\nlisten: b":           `d.yaml:1:1: the file has more than one document`,
		"listen: [":                           `d.yaml: yaml: line 1: did not find expected node content`,
		strings.Repeat("#", 1<<20) + "\na: b": `d.yaml: more than 1 MB`,
		"x: " + strings.Repeat("[", 30) + "1" + strings.Repeat("]", 30): `d.yaml:1:24: x: more than 20 levels`,
		"lisen: 1\ninterval: x": "d.yaml:1:1: unknown key \"lisen\", want \"listen\"\nd.yaml:2:11: interval: want a duration, such as 30s or 5m",
	} {
		_, _, err := apply(t, file, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%.50q:\n got %v\nwant %s", file, err, want)
		}
	}
	if _, _, err := apply(t, "", map[string]string{"DEFENDERCTL_INTERVAL": "hunter2"}); err == nil || err.Error() != "DEFENDERCTL_INTERVAL: want a value of --interval: a duration, such as 30s or 5m" {
		t.Error(err)
	}
}

func TestSecret(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{"token": "from a file\n", "empty": "\n", "large": strings.Repeat("x", 70<<10)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lookup := environment(map[string]string{"TOKEN": "from the environment", "EMPTY": ""})
	for _, test := range []struct{ text, want, err string }{
		{"as it is", "as it is", ""},
		{"{env: TOKEN}", "from the environment", ""},
		{"{file: token}", "from a file", ""},
		{"{file: " + filepath.Join(folder, "token") + "}", "from a file", ""},
		{"{env: EMPTY}", "", "c.yaml:1:14: token.env: the environment variable EMPTY is not set"},
		{"{env: NONE}", "", "NONE is not set"},
		{"{file: none}", "", "no such file"},
		{"{file: empty}", "", "is empty"},
		{"{file: large}", "", "more than 64 KB"},
		{"{file: token, env: TOKEN}", "", "want a text, {env: NAME} or {file: PATH}"},
		{"{}", "", "want a text, {env: NAME} or {file: PATH}"},
		{"{environment: TOKEN}", "", `unknown key "environment" in token, want env or file`},
		{"[a]", "", "want one value"},
	} {
		file, err := Parse("c.yaml", strings.NewReader("token: "+test.text))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		err = file.Fields(map[string]func(Node) error{"token": func(n Node) (err error) {
			r := Reader{Lookup: lookup, Folder: folder}
			got, err = r.Secret(n)
			return err
		}})
		if test.err == "" && (err != nil || got != test.want) || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: %q, %v", test.text, got, err)
		}
	}
}

func TestReadableByOthers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := errors.Join(os.WriteFile(name, nil, mode), os.Chmod(name, mode)); err != nil {
			t.Fatal(err)
		}
		if got := ReadableByOthers(name); got != want {
			t.Errorf("%o: %t", mode, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"listen: 127.0.0.1:1\nsns: [a, b]\n", "a: &x [*x]", "a: {b: {c: d}}", "? [a]\n: b", "a: !!binary x", "<<: {a: b}", "--- x\n--- y", "a: |\n  b\n", "\xff\xfe", "a: \"\\x\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("f", strings.NewReader(text))
		if err != nil {
			return
		}
		var o options
		_, _ = Apply(o.flags(), file, environment(nil), nil, nil)
		secrets := Reader{Lookup: environment(nil), Folder: t.TempDir()}
		_ = file.Each(func(_ string, n Node) error {
			if !n.IsMapping() { // no file is read
				_, _ = secrets.Secret(n)
			}
			_, _ = n.Duration()
			_, _ = n.Texts()
			return nil
		})
	})
}
