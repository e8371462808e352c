package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

func newGroup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "group",
		Short: "Work with thing groups, at AWS IoT or a 'defenderctl serve'",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGroupList(), newGroupShow(), newGroupCreate(), newGroupDelete(), newGroupAdd(), newGroupRemove())
	return cmd
}

func newGroupList() *cobra.Command {
	var parent string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the thing groups",
		Example: `  defenderctl group list
  defenderctl group list --parent plant`,
		Args: cobra.NoArgs,
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.Flags().StringVar(&parent, "parent", "", "only groups directly below this one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		groups, err := client.Groups(cmd.Context(), parent)
		if err != nil {
			return err
		}
		t := table{header: []string{"GROUP"}, empty: "no thing group"}
		for _, group := range groups {
			t.rows = append(t.rows, []string{group})
		}
		return output.write(cmd, append([]string{}, groups...), t)
	}
	return cmd
}

// groupRow is a thing group for programs.
type groupRow struct {
	Name        string            `json:"thingGroupName"`
	ARN         string            `json:"thingGroupArn"`
	Description string            `json:"description,omitempty"`
	Attributes  map[string]string `json:"attributes"`
	Query       string            `json:"queryString,omitempty"`
	Version     int64             `json:"version"`
	Created     time.Time         `json:"created"`
	Above       []string          `json:"parentGroups"`
	Below       []string          `json:"childGroups"`
	Profiles    []string          `json:"profiles"`
	Things      []string          `json:"things"`
	NotKnown    string            `json:"notKnown,omitempty"` // why profiles are not
}

func newGroupShow() *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a thing group with its things and the profiles attached to it",
		Example: `  defenderctl group show quarantine
  defenderctl group show plant --recursive --output json`,
		Args: cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.Flags().BoolVar(&recursive, "recursive", false, "things of the groups below it as well")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		row, err := readGroup(cmd, client, args[0], recursive)
		if err != nil {
			return err
		}
		if !output.text() {
			return output.write(cmd, row, table{})
		}
		writeGroup(cmd, row)
		return nil
	}
	return cmd
}

func readGroup(cmd *cobra.Command, client *cloud.Client, name string, recursive bool) (*groupRow, error) {
	ctx := cmd.Context()
	g, err := client.Group(ctx, name)
	if err != nil {
		return nil, err
	}
	below, err := client.Groups(ctx, name)
	if err != nil {
		return nil, err
	}
	profiles, noDetect := client.ProfilesOfGroup(ctx, g)
	things, err := client.ThingsInGroup(ctx, name, recursive)
	if err != nil {
		return nil, err
	}
	row := &groupRow{
		Name: g.Name, ARN: g.ARN, Description: g.Description, Attributes: g.Attributes, Query: g.Query, Version: g.Version, Created: g.Created.UTC(),
		Above: append([]string{}, g.Above...), Below: append([]string{}, below...), Profiles: append([]string{}, profiles...), Things: append([]string{}, things...),
	}
	if noDetect != nil { // an account may have groups and no Detect
		row.NotKnown = noDetect.Error()
	}
	if row.Attributes == nil {
		row.Attributes = map[string]string{}
	}
	return row, nil
}

func newGroupCreate() *cobra.Command {
	var parent, description string
	var attributes map[string]string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a thing group",
		Long:  `Create a thing group. One that exists and is the same stays as it is.`,
		Example: `  defenderctl group create quarantine
  defenderctl group create line-3 --parent plant --description "welding robots"`,
		Args: cobra.ExactArgs(1),
	}
	a := awsFlags(cmd)
	cmd.Flags().StringVar(&parent, "parent", "", "group that it is below")
	cmd.Flags().StringVar(&description, "description", "", "what it is")
	cmd.Flags().StringToStringVar(&attributes, "attribute", nil, "attribute, as NAME=VALUE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		if err := client.CreateGroup(cmd.Context(), args[0], parent, description, attributes); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "thing group %s is created\n", args[0])
		return nil
	}
	return cmd
}

func newGroupDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete thing groups; their things stay",
		Long: `Delete thing groups, after it is shown what goes with them: their things leave
them, and security profiles and policies no longer apply by them. When one of
them is not there, or has child groups that are not named too, nothing is
deleted.`,
		Example: `  defenderctl group delete line-3
  defenderctl group delete plant line-3 --local --yes`,
		Args: cobra.MinimumNArgs(1),
	}
	a := awsFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		plan, err := client.PlanDeleteGroups(cmd.Context(), unique(args))
		if err != nil {
			return err
		}
		return runSetup(cmd, plan, yes)
	}
	return cmd
}

func newGroupAdd() *cobra.Command {
	return newGroupMove("add", "Put things into a thing group", "is in", (*cloud.Client).AddToGroup)
}

func newGroupRemove() *cobra.Command {
	return newGroupMove("remove", "Take things out of a thing group", "is not in", (*cloud.Client).RemoveFromGroup)
}

// newGroupMove is the command that adds things or removes them. One that fails does not
// keep the others from it.
func newGroupMove(verb, short, done string, move func(*cloud.Client, context.Context, string, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:     verb + " GROUP THING...",
		Short:   short,
		Example: "  defenderctl group " + verb + " quarantine gateway-2 gateway-3",
		Args:    cobra.MinimumNArgs(2),
	}
	a := awsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		var failed []error
		for _, thing := range args[1:] {
			if err := move(client, cmd.Context(), thing, args[0]); err != nil {
				failed = append(failed, err)
				continue
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", render.Clean(thing, 128), done, render.Clean(args[0], 128))
		}
		return errors.Join(failed...)
	}
	return cmd
}

// mostThingsShown is how many things of a group are shown to people.
const mostThingsShown = 50

func writeGroup(cmd *cobra.Command, g *groupRow) {
	out := cmd.OutOrStdout()
	c := colorsOf(out)
	fmt.Fprintln(out, c.paint(bold, render.Clean(g.Name, 128)))
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s  %s\n", c.paint(faint, fmt.Sprintf("%-11s", label)), render.Clean(text, 4000))
		}
	}
	line("description", g.Description)
	line("query", g.Query)
	line("attributes", attributesText(g.Attributes))
	line("below", strings.Join(g.Above, " > "))
	line("above", strings.Join(g.Below, ", "))
	line("profiles", strings.Join(g.Profiles, ", "))
	if g.NotKnown != "" {
		line("profiles", "not known: "+g.NotKnown)
	}
	line("version", fmt.Sprintf("%d, created %s", g.Version, shownTime(g.Created, time.Local)))
	shown := strings.Join(g.Things[:min(len(g.Things), mostThingsShown)], ", ")
	if more := len(g.Things) - mostThingsShown; more > 0 {
		shown += fmt.Sprintf(" and %d more: --output json has all", more)
	}
	line("things", strings.TrimSpace(fmt.Sprintf("%d  %s", len(g.Things), shown)))
}
