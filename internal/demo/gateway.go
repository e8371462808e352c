package demo

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/device-defender/device-defender/internal/agent"
	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
	"github.com/device-defender/device-defender/recipes"
)

// Gateway is a Greengrass core device: a stand-in core with the component in
// it, reporting what one proc file system shows.
type Gateway struct {
	Thing string
	Core  *localcore.Core

	component *localcore.Component
	interval  time.Duration
	workDir   string
	accepted  atomic.Int64
}

// NewGateway returns the core of a thing whose agent reads the proc file
// system at procRoot and reports at intervals, in whole seconds.
func NewGateway(ctx context.Context, thing, procRoot string, interval time.Duration) (*Gateway, error) {
	core, err := localcore.New(localcore.Options{ThingName: thing, Region: "local"})
	if err != nil {
		return nil, err
	}
	g := &Gateway{Thing: thing, Core: core, interval: interval}
	if err := g.install(ctx, procRoot); err != nil {
		core.Close()
		return nil, fmt.Errorf("gateway %s: %w", thing, err)
	}
	core.Tap(g.watch)
	return g, nil
}

func (g *Gateway) install(ctx context.Context, procRoot string) error {
	recipe, err := localcore.ParseRecipe(bytes.NewReader(recipes.DeviceDefender))
	if err != nil {
		return err
	}
	if g.component, err = g.Core.Install(recipe); err != nil {
		return err
	}
	if g.workDir, err = os.MkdirTemp("", "defenderctl-gateway-"); err != nil {
		return err
	}
	return g.Core.Deploy(ctx, g.component.Name(), map[string]any{
		"SampleIntervalSeconds": int(g.interval / time.Second), "ProcPath": procRoot,
	})
}

// watch counts the replies that accept a report.
func (g *Gateway) watch(m localcore.Message) {
	if m.Component != "" {
		return
	}
	if reply, err := report.ParseReply(m.Payload); err == nil && reply.Status == report.Accepted {
		g.accepted.Add(1)
	}
}

// Accepted is how many reports have been accepted.
func (g *Gateway) Accepted() int { return int(g.accepted.Load()) }

// Run lets the agent report until ctx ends.
func (g *Gateway) Run(ctx context.Context, log *slog.Logger) error {
	var wait sync.WaitGroup
	defer wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return agent.Run(ctx, agent.Options{
		ThingName: g.Thing, Token: g.component.Token(), WorkDir: g.workDir,
		Dial: func(context.Context) (net.Conn, error) {
			client, server := net.Pipe()
			wait.Go(func() { g.Core.ServeConn(ctx, server) })
			return client, nil
		},
		Defaults: agent.DefaultConfig(), MinInterval: g.interval, Log: log, Level: new(slog.LevelVar),
	})
}

// Close closes the core and removes the agent's work folder.
func (g *Gateway) Close() error {
	os.RemoveAll(g.workDir)
	return g.Core.Close()
}
