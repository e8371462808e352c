package recipecheck

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
)

// The recipes allow the agent's topics on either nucleus, and no others. Which
// thing's topics they are is for the certificate's policy to limit.
func TestAccess(t *testing.T) {
	const metrics = "$aws/things/My_thing:1-a/defender/metrics/"
	publish := map[string]bool{
		metrics + "json": true, metrics + "cbor": true,
		metrics + "xml": false, metrics + "json/accepted": false,
		"$aws/things/a/b/defender/metrics/json": false, "$aws/things/a/defender/metrics": false,
		"$aws/things/a/shadow/update": false, "metrics/json": false, "other": false,
	}
	subscribe := map[string]bool{
		metrics + "json/accepted": true, metrics + "json/rejected": true,
		metrics + "cbor/accepted": true, metrics + "cbor/rejected": true,
		metrics + "json": false, metrics + "json/+": false, metrics + "#": false, metrics + "xml/accepted": false,
		"$aws/things/a/b/defender/metrics/json/accepted": false, "$aws/things/#": false, "$aws/#": false,
		"$aws/things/a/jobs/notify": false, "other": false, "#": false,
	}
	for file, name := range projects {
		for _, nucleus := range []greengrass.Nucleus{greengrass.Java, greengrass.Lite} {
			t.Run(fmt.Sprintf("%s on %v", name, nucleus), func(t *testing.T) {
				text := recipe(t, file, name)
				synctest.Test(t, func(t *testing.T) {
					client := connect(t, nucleus, text)
					for topic, want := range publish {
						err := client.PublishToIoTCore(t.Context(), greengrass.PublishToIoTCoreRequest{TopicName: topic, QoS: greengrass.AtLeastOnce, Payload: []byte("{}")})
						checkAccess(t, "publish to "+topic, want, err)
					}
					for topic, want := range subscribe {
						_, err := client.SubscribeToIoTCore(t.Context(), greengrass.SubscribeToIoTCoreRequest{TopicName: topic, QoS: greengrass.AtLeastOnce})
						checkAccess(t, "subscribe to "+topic, want, err)
					}
				})
			})
		}
	}
}

func checkAccess(t *testing.T, what string, want bool, err error) {
	t.Helper()
	if want && err != nil || !want && !greengrass.IsCode(err, greengrass.UnauthorizedError) {
		t.Errorf("%s: %v, want it allowed: %v", what, err, want)
	}
}

// connect installs a recipe in a core and connects as its component.
func connect(t *testing.T, nucleus greengrass.Nucleus, text string) *greengrass.Client {
	t.Helper()
	core, err := localcore.New(localcore.Options{Nucleus: nucleus, ThingName: "My_thing:1-a"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { core.Close() })
	parsed, err := localcore.ParseRecipe(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	component, err := core.Install(parsed)
	if err != nil {
		t.Fatal(err)
	}
	end, server := net.Pipe()
	go core.ServeConn(context.Background(), server)
	client, err := greengrass.NewClient(t.Context(), end, component.Token(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
