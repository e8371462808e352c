package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

var exportFormats = []string{"json", "yaml", "cloudformation", "terraform"}

func newProfileExport() *cobra.Command {
	var format, folder string
	cmd := &cobra.Command{
		Use:   "export [NAME...]",
		Short: "Write the security profiles of the account as files, CloudFormation or Terraform",
		Long: `Write security profiles of the account, all of them unless named, with their
targets and tags and the custom metrics and dimensions that they use:

  json, yaml      documents that 'profile apply' takes; targets by short names
  cloudformation  a template of AWS::IoT::SecurityProfile, CustomMetric and
                  Dimension
  terraform       the same as resources of the provider awscc

The same account gives the same bytes. With --dir, json and yaml are a file for
each document; files that are there are replaced.`,
		Example: `  defenderctl profile export > profiles.json
  defenderctl profile export --format yaml --dir profiles
  defenderctl profile export DataExfiltrationCheck --format terraform`,
	}
	a := awsFlags(cmd)
	cmd.ValidArgsFunction = a.completeProfileNames
	cmd.Flags().StringVar(&format, "format", "json", strings.Join(exportFormats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(exportFormats, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&folder, "dir", "", "write files into this folder, which is created, instead of standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(exportFormats, format) {
			return usageError{fmt.Errorf("--format %q, want %s", format, strings.Join(exportFormats, ", "))}
		}
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		set, err := client.Export(cmd.Context(), args)
		if err != nil {
			return err
		}
		files, err := exportFiles(cmd, client, set, format, folder != "")
		if err != nil {
			return err
		}
		if folder != "" {
			return writeFiles(cmd, folder, files)
		}
		for _, f := range files {
			if _, err := cmd.OutOrStdout().Write(f.content); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// exportFile is a file to be written.
type exportFile struct {
	name    string
	content []byte
}

// exportFiles returns the set in the format: as a file for each document where
// that is wanted and the format has documents.
func exportFiles(cmd *cobra.Command, client *cloud.Client, set *profilefile.Set, format string, apart bool) ([]exportFile, error) {
	if format == "cloudformation" || format == "terraform" {
		set, err := client.TargetARNs(cmd.Context(), set)
		if err != nil {
			return nil, err
		}
		if format == "terraform" {
			return []exportFile{{"security_profiles.tf", cloud.Terraform(set)}}, nil
		}
		var b bytes.Buffer
		err = encodeJSON(&b, json.RawMessage(cloud.CloudFormation(set)), jsonEscape)
		return []exportFile{{"security-profiles.template.json", b.Bytes()}}, err
	}
	var documents []any
	var files []exportFile
	for _, f := range cloud.Files(set) {
		content, err := encodeDocument(format, f.Document)
		if err != nil {
			return nil, err
		}
		documents = append(documents, f.Document)
		files = append(files, exportFile{f.Name + "." + format, content})
	}
	switch {
	case apart || len(files) == 1:
		return files, nil
	case format == "yaml" && len(files) > 0:
		for i := 1; i < len(files); i++ {
			files[i].content = append([]byte("---\n"), files[i].content...)
		}
		return files, nil
	}
	content, err := encodeDocument(format, append([]any{}, documents...))
	return []exportFile{{content: content}}, err
}

func encodeDocument(format string, document any) ([]byte, error) {
	var b bytes.Buffer
	if format == "yaml" {
		err := encodeYAML(&b, document)
		return b.Bytes(), err
	}
	err := encodeJSON(&b, document, jsonEscape)
	return b.Bytes(), err
}

func writeFiles(cmd *cobra.Command, folder string, files []exportFile) error {
	if err := checkLinks(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(folder, f.name)
		if err := checkLinks(name); err != nil {
			return err
		}
		if err := os.WriteFile(name, f.content, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "written: %s\n", name)
	}
	return nil
}
