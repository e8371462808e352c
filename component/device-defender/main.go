// Command device-defender is the Greengrass component: it reports what the
// device does to AWS IoT Device Defender. See 'device-defender -h'.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/device-defender/device-defender/internal/agent/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := command.Main(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
