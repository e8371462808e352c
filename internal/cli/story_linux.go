package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"

	"github.com/device-defender/device-defender/internal/demo"
)

// errPatience ends a story that does not go on.
var errPatience = errors.New("the story does not go on")

// tell tells the story.
func (st *story) tell(ctx context.Context) error {
	device, culprit := st.culprit()
	for _, chapter := range []func(context.Context) error{
		st.profiles,
		func(ctx context.Context) error { return st.baseline(ctx, culprit) },
		func(ctx context.Context) error { return st.exfiltration(ctx, device) },
	} {
		if err := chapter(ctx); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// profiles says what is normal.
func (st *story) profiles(ctx context.Context) error {
	st.chapter("What is normal")
	st.say("The widely copied profile against data exfiltration says what is NOT normal. Lint sees it:")
	// Lint finds warnings; the exit code is the answer, not a failure.
	_ = st.run(ctx, "profile", "lint", st.file(demo.TutorialProfile))
	st.say("Corrected, and with a count, because a few gateways make no percentile:")
	return st.run(ctx, "profile", "apply", "--yes", st.file(demo.CorrectedProfile))
}

// baseline lets everybody report for a while.
func (st *story) baseline(ctx context.Context, culprit string) error {
	st.chapter("A quiet fleet")
	st.say(countOf(len(st.devices), "gateway", "gateways") + " and this host report, every 5 seconds for every 5 minutes ...")
	if err := st.wait(ctx, "the baseline's reports", func() bool {
		for _, g := range st.gateways {
			if g.Accepted() < demoBaseline {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	return st.run(ctx, "metric", "values", culprit, "aws:all-packets-out", "--since", "30m")
}

// exfiltration is the crime, how it is found, and how it ends.
func (st *story) exfiltration(ctx context.Context, device *demo.Device) error {
	st.chapter("One gateway moves data out")
	st.say(device.Name + " begins to send to an address it never spoke to ...")
	if err := device.Exfiltrate(); err != nil {
		return err
	}
	alert, err := st.alert(ctx, device.Name, "in-alarm")
	if err != nil {
		return err
	}
	st.say("The webhook has an alert:")
	if err := st.runWith(ctx, alert.Body, "alert", "decode"); err != nil {
		return err
	}
	for _, command := range [][]string{{"violation", "list"}, {"violation", "show", alert.ViolationID}} {
		if err := st.run(ctx, command...); err != nil {
			return err
		}
	}
	return st.quarantine(ctx, device, alert.ViolationID)
}

func (st *story) quarantine(ctx context.Context, device *demo.Device, violation string) error {
	st.chapter("Quarantine")
	for _, command := range [][]string{
		{"violation", "mark", violation, "--as", "true-positive", "--note", "unknown destination"},
		{"mitigation", "apply", "--yes", st.file(demo.QuarantineAction)},
		{"mitigation", "start", "--violation", violation, "--action", "QuarantineDevice"},
	} {
		if err := st.run(ctx, command...); err != nil {
			return err
		}
	}
	if err := st.obey(ctx, device); err != nil {
		return err
	}
	st.say(device.Name + " is in the group quarantine, whose policy on AWS cuts it off but for its reports; it stops ...")
	if _, err := st.alert(ctx, device.Name, "alarm-cleared"); err != nil {
		return err
	}
	for _, command := range [][]string{
		{"violation", "list", "--since", "1h"},
		{"mitigation", "release", device.Name, "--group", "quarantine"},
	} {
		if err := st.run(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// obey lets the device stop once it is in quarantine.
func (st *story) obey(ctx context.Context, device *demo.Device) error {
	err := st.wait(ctx, device.Name+" to be in quarantine", func() bool {
		groups, err := st.client.IoT.ListThingGroupsForThing(ctx, &iot.ListThingGroupsForThingInput{ThingName: aws.String(device.Name)})
		if err != nil {
			return false
		}
		for _, g := range groups.ThingGroups {
			if aws.ToString(g.GroupName) == "quarantine" {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	return device.Stop()
}

// alert waits for an alert of the thing.
func (st *story) alert(ctx context.Context, thing, event string) (demo.Alert, error) {
	late := time.After(demoPatience)
	for {
		select {
		case a := <-st.alerts.Alerts():
			if a.Thing == thing && a.Type == event {
				return a, nil
			}
		case <-late:
			return demo.Alert{}, fmt.Errorf("%w: no alert %s of %s in %v", errPatience, event, thing, demoPatience)
		case <-ctx.Done():
			return demo.Alert{}, nil
		}
	}
}

// wait waits until something is true, which it looks at twice a second.
func (st *story) wait(ctx context.Context, what string, done func() bool) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for late := time.Now().Add(demoPatience); !done(); {
		if time.Now().After(late) {
			return fmt.Errorf("%w: still waiting for %s after %v", errPatience, what, demoPatience)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (st *story) file(name string) string { return filepath.Join(st.folder, name) }

// run shows a command and runs it.
func (st *story) run(ctx context.Context, args ...string) error { return st.runWith(ctx, nil, args...) }

func (st *story) runWith(ctx context.Context, stdin []byte, args ...string) error {
	if ctx.Err() != nil {
		return nil
	}
	shown := strings.ReplaceAll(shellWords(args), st.folder+"/", "")
	fmt.Fprintf(st.out, "\n  $ defenderctl %s\n", shown)
	root := newRoot()
	// Commands that talk to no service have no such flag.
	if found, _, err := root.Find(args); err == nil && found.Flag("endpoint-url") != nil {
		args = append(args, "--endpoint-url", st.url)
	}
	root.SetArgs(args)
	root.SetIn(bytes.NewReader(stdin))
	var shows bytes.Buffer
	root.SetOut(&shows)
	root.SetErr(&shows)
	err := root.ExecuteContext(ctx)
	for line := range strings.Lines(shows.String()) {
		fmt.Fprint(st.out, "  ", strings.ReplaceAll(line, st.folder+"/", ""))
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("defenderctl %s: %w", shown, err)
	}
	return nil
}

// shellWords writes arguments as they would be typed.
func shellWords(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if strings.ContainsAny(a, " \"'$") {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// chapter begins a part of the story.
func (st *story) chapter(title string) {
	fmt.Fprintf(st.out, "\n%s\n%s\n", title, strings.Repeat("-", len(title)))
}

func (st *story) say(text string) { fmt.Fprintf(st.out, "\n%s\n", text) }
