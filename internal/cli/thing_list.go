package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/render"
)

// thingListRow is a thing of a list.
type thingListRow struct {
	Name       string            `json:"thingName"`
	Attributes map[string]string `json:"attributes"`
	Version    int64             `json:"version"`
}

func newThingList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the things of the registry",
		Long: `List the things of the registry. Things that report without being registered are
on the pages of 'defenderctl serve'; those of one group are in 'group show'.`,
		Example: `  defenderctl thing list
  defenderctl thing list --output json`,
		Args: cobra.NoArgs,
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		things, err := client.ThingList(cmd.Context())
		if err != nil {
			return err
		}
		t := table{header: []string{"THING", "VERSION", "ATTRIBUTES"}, right: []int{1}, empty: "no thing is registered"}
		for _, thing := range things {
			t.rows = append(t.rows, []string{thing.Name, strconv.FormatInt(thing.Version, 10), render.Clean(attributesText(thing.Attributes), mostInList)})
		}
		return output.write(cmd, mapped(things, thingListRowOf), t)
	}
	return cmd
}

func thingListRowOf(t cloud.Thing) thingListRow {
	row := thingListRow{t.Name, t.Attributes, t.Version}
	if row.Attributes == nil {
		row.Attributes = map[string]string{}
	}
	return row
}

// attributesText is attributes in a table, in the order of their names.
func attributesText(attributes map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		list = append(list, name+"="+attributes[name])
	}
	return strings.Join(list, ", ")
}
