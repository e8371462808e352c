// Command defenderctl is the operator's program for AWS IoT Device Defender on
// Greengrass. See 'defenderctl --help'.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Authorities for where the system has none, such as an image from scratch.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/device-defender/device-defender/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP, os.Interrupt)
	// With a closed pipe writes fail instead, and commands clean up.
	signal.Ignore(syscall.SIGPIPE)
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
