// Command localcore-serve runs a stand-in Greengrass core with one component.
//
//	localcore-serve [-as nucleus|lite] [-data DIR] RECIPE [COMMAND [ARG...]]
//
// With a command it runs that as the component's process, once, and exits with
// its code. Without, it prints the process' environment as shell exports and
// serves until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	as := flag.String("as", "nucleus", "the core's personality: nucleus or lite")
	data := flag.String("data", "", "the core's folder; a temporary one if empty")
	flag.Parse()
	err := run(ctx, *as, *data, flag.Args())
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	case err != nil:
		fmt.Fprintln(os.Stderr, "localcore-serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, as, data string, args []string) error {
	nucleus, ok := map[string]localcore.Personality{"nucleus": greengrass.Java, "lite": greengrass.Lite}[as]
	if !ok || len(args) == 0 {
		return errors.New("usage: localcore-serve [-as nucleus|lite] [-data DIR] RECIPE [COMMAND [ARG...]]")
	}
	if data == "" {
		var err error
		if data, err = os.MkdirTemp("", "localcore"); err != nil {
			return err
		}
		defer os.RemoveAll(data)
	}
	recipe, err := localcore.LoadRecipe(args[0])
	if err != nil {
		return err
	}
	core, err := localcore.New(localcore.Options{
		Nucleus:   nucleus,
		ThingName: "example-thing",
		Region:    "eu-central-1",
		Root:      data,
		Log:       slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	defer core.Close()
	component, err := core.Install(recipe)
	if err != nil {
		return err
	}
	if err := core.Listen(); err != nil {
		return err
	}
	if len(args) == 1 {
		own := os.Environ()
		for _, variable := range component.Environ() {
			if name, value, _ := strings.Cut(variable, "="); !slices.Contains(own, variable) {
				fmt.Printf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
			}
		}
		<-ctx.Done()
		return nil
	}
	cmd := exec.CommandContext(ctx, args[1], args[2:]...)
	cmd.Env = component.Environ()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
