//go:build !linux

package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
)

// What reads /proc or makes network namespaces is not on this system. It says so
// instead of being unknown.
func newLocal() *cobra.Command { return linuxOnly("local", "a stand-in core with the component in it") }

func newDemo() *cobra.Command { return linuxOnly("demo", "gateways with networks of their own") }

func linuxOnly(name, what string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              "Not on this system: " + what + ", on Linux",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("'defenderctl %s' runs %s, which takes Linux; this is %s. 'defenderctl serve' runs here", name, what, runtime.GOOS)
		},
	}
}

func (o *recordOptions) recordHost(*cobra.Command, io.Writer) error {
	return errors.New("recording this host reads Linux's /proc, and this is " + runtime.GOOS + "; --from-api records what AWS or 'defenderctl serve' has kept")
}
