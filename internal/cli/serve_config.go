package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/render"
	"github.com/device-defender/device-defender/internal/settings"
	"github.com/device-defender/device-defender/internal/spelling"
)

// configOptions are the flags of serve for its configuration file.
type configOptions struct {
	file  string
	check bool

	sources  settings.Sources
	warnings []string
}

func (o *configOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.file, "config", "", "configuration file, YAML: its keys are these flags by their names, and channels; a flag wins over the environment (DEFENDERCTL_LISTEN for --listen), which wins over the file")
	flags.BoolVar(&o.check, "check-config", false, "check the configuration, show what is in force, and end")
}

// noKeys are flags that a configuration file can't have.
var noKeys = []string{"config", "check-config", "help"}

// read sets the flags that are not on the command line, and the channels.
func (o *configOptions) read(flags *pflag.FlagSet, channels *[]alert.Channel) error {
	name := o.file
	if !flags.Changed("config") {
		name = os.Getenv(settings.Variable("config"))
	}
	return o.readFrom(flags, channels, name)
}

// readFrom reads a file; "" is none.
func (o *configOptions) readFrom(flags *pflag.FlagSet, channels *[]alert.Channel, name string) error {
	o.file = name
	var file settings.Node
	secrets := &settings.Reader{Lookup: os.LookupEnv, Folder: filepath.Dir(o.file)}
	if o.file != "" {
		f, err := os.Open(o.file)
		if err != nil {
			return fmt.Errorf("--config: %w", err)
		}
		defer f.Close()
		if file, err = settings.Parse(o.file, f); err != nil {
			return err
		}
	}
	var err error
	o.sources, err = settings.Apply(flags, file, os.LookupEnv, noKeys, map[string]func(settings.Node) error{
		"channels": func(n settings.Node) (err error) {
			*channels, err = parseChannels(n, secrets)
			return err
		},
	})
	for name, from := range o.sources {
		if f := flags.Lookup(name); isSecret(f) && strings.HasPrefix(from, o.file+":") {
			secrets.Files = append(secrets.Files, o.file)
		}
	}
	o.warnings = append(o.warnings, strayVariables(flags, secrets.Variables)...)
	slices.Sort(secrets.Files)
	for _, name := range slices.Compact(secrets.Files) {
		if settings.ReadableByOthers(name) {
			o.warnings = append(o.warnings, fmt.Sprintf("%s has secrets, and every user of this machine may read it: chmod o-r %[1]s", name))
		}
	}
	return err
}

// strayVariables warns of environment variables that look like those of flags and set
// nothing, as their names are misspelt.
func strayVariables(flags *pflag.FlagSet, used []string) (warnings []string) {
	var known []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "check-config" {
			known = append(known, settings.Variable(f.Name))
		}
	})
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" || !strings.HasPrefix(name, settings.Prefix) || slices.Contains(known, name) || slices.Contains(used, name) {
			continue
		}
		warning := "environment variable " + name + " sets nothing"
		if meant := spelling.Nearest(name, known); meant != "" {
			warning += ", want " + meant
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// warn logs what is not right and not wrong either.
func (o *configOptions) warn(log *slog.Logger) {
	for _, warning := range o.warnings {
		log.Warn(warning)
	}
}

// given reports whether the flag is on the command line.
func (o *configOptions) given(flag string) bool { return o.sources[flag] == settings.CommandLine }

const masked = "***"

func isSecret(f *pflag.Flag) bool {
	_, secret := f.Annotations[settings.Secret]
	return secret
}

// show writes what is in force, as a configuration file without secrets.
func (o *configOptions) show(cmd *cobra.Command, channels []alert.Channel) error {
	var b bytes.Buffer
	b.WriteString("# what is in force, and where it is from; secrets are masked\n")
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(noKeys, f.Name) {
			return
		}
		value := shownFlag(f)
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = append([]string{}, list.GetSlice()...)
		}
		var line bytes.Buffer
		errs = append(errs, encodeYAML(&line, map[string]any{f.Name: value}))
		text := strings.TrimSuffix(line.String(), "\n")
		first, rest, more := strings.Cut(text, "\n")
		fmt.Fprintf(&b, "%s # %s\n", first, render.Clean(o.sources[f.Name], mostOfError))
		if more {
			b.WriteString(rest + "\n")
		}
	})
	if len(channels) > 0 {
		shown := map[string]any{}
		for i := range channels {
			shown[channels[i].Name] = shownChannel(&channels[i])
		}
		errs = append(errs, encodeYAML(&b, map[string]any{"channels": shown}))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, warning := range o.warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", render.Clean(warning, mostOfError))
	}
	_, err := cmd.OutOrStdout().Write(b.Bytes())
	return err
}

// shownFlag is the value of a flag as it may be shown.
func shownFlag(f *pflag.Flag) any {
	text := f.Value.String()
	if isSecret(f) && text != "" {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			return alert.Masked(text)
		}
		return masked
	}
	if u, err := url.Parse(text); err == nil && u.User != nil {
		u.User = url.User(masked)
		return u.String()
	}
	switch f.Value.Type() {
	case "bool":
		return text == "true"
	case "int", "int64":
		return json.Number(text)
	default:
		return text
	}
}
