package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/render"
)

// Main runs defenderctl and returns its exit code: 0, 1 for a failure or for
// the answer no, 2 for a wrong command line, 3 for changes that 'profile plan
// --exit-code' found.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	// An error can quote a file or the answer of a service.
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(stderr, "defenderctl:", render.Clean(strings.TrimSuffix(line, "\n"), mostOfError))
	}
	if isUsage(err) {
		return 2
	}
	return 1
}

// Command returns the tree of commands, for manuals.
func Command() *cobra.Command { return newRoot() }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "defenderctl",
		Short:         "Work with AWS IoT Device Defender on Greengrass",
		Version:       buildinfo.Line(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("defenderctl {{.Version}}\n")
	root.AddCommand(newDemo(), newProfile(), newViolation(), newMetric(), newAlert(), newMitigation(), newRecord(), newBacktest(), newServe(), newIngest(), newAccess(), newAudit(), newThing(), newGroup(), newBackup(), newRestore(), newHealth(), newLocal(), newReport())
	wrapUsage(root)
	return root
}

// mostOfError is how much of a line of an error is shown.
const mostOfError = 4000

// exitCode is an answer that is told only by the exit code.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

// wrapUsage marks errors in flags and arguments, and names the help.
func wrapUsage(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
	})
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		wrapUsage(c)
	}
}
