package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/render"
)

func newReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Read metrics reports",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReportDecode(), newReportCheck())
	return cmd
}

func newReportDecode() *cobra.Command {
	return &cobra.Command{
		Use:   "decode FILE",
		Short: "Write a report as readable JSON with long names",
		Long: `Write a metrics report as indented JSON with long names, whether it is JSON or
CBOR, with long or short names. FILE "-" is standard input.`,
		Example: `  device-defender print -format cbor | defenderctl report decode -`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, _, err := readReport(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			text, err := r.Encode(report.Encoding{Format: report.JSON, Names: report.Long})
			if err != nil {
				return err
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, text, "", "  "); err != nil {
				return err
			}
			var safe bytes.Buffer
			escapeInvisible(&safe, indented.String()+"\n", jsonEscape)
			_, err = cmd.OutOrStdout().Write(safe.Bytes())
			return err
		},
	}
}

func newReportCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say what the service would say to a report",
		Long: `Say whether Device Defender would accept a metrics report, in JSON or CBOR, and
which values it would silently not keep. Whether it comes too soon after the
last one is not known here. FILE "-" is standard input. The exit code is 1 for
a report that would be rejected.`,
		Example: `  device-defender print | defenderctl report check -`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			r, encoding, err := readReport(cmd.InOrStdin(), args[0])
			if invalid := (*report.InvalidError)(nil); errors.As(err, &invalid) {
				fmt.Fprintf(out, "REJECTED  %s\n", render.Clean(invalid.Error(), mostInCell))
				return fmt.Errorf("%s: the report would be rejected", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "ACCEPTED  report %d, %v with %v names\n", r.ID, encoding.Format, encoding.Names)
			for _, w := range r.Warnings() {
				fmt.Fprintf(out, "warning   %s\n", render.Clean(w, mostInCell))
			}
			return nil
		},
	}
}

// readReport reads a report from a file, or from stdin for "-".
func readReport(stdin io.Reader, name string) (*report.Report, report.Encoding, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, report.Encoding{}, err
		}
		defer f.Close()
		stdin = f
	}
	data, err := io.ReadAll(io.LimitReader(stdin, report.MaxSize+1))
	if err != nil {
		return nil, report.Encoding{}, fmt.Errorf("read %s: %w", name, err)
	}
	r, encoding, err := report.Decode(data)
	if err != nil {
		return nil, encoding, fmt.Errorf("%s: %w", name, err)
	}
	return r, encoding, nil
}
