package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/service"
)

func newBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy everything that a running service keeps into a file",
		Long: `Copy everything that a running 'defenderctl serve' keeps into a file: profiles,
things and groups, violations, values of metrics, alerts that wait. It is all of
one moment, and the service goes on meanwhile.

FILE appears when the copy is whole and was read again; until then, and if the
command is interrupted, a file that was there stays as it is. It is compressed
by zstd, and of mode 0600.

With authentication it takes an access key of the role admin, and the access
keys are in the file with their secrets: keep it as you keep those. Without, they
are left out, since any user of the machine may have the backup. The TLS
certificate and its key are not in it.`,
		Example: `  defenderctl backup --local defender.backup
  defenderctl backup "defender-$(date +%F).backup"`,
		Args: cobra.ExactArgs(1),
	}
	a := awsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		b, size, err := writeBackup(cmd.Context(), args[0], client.Backup)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d bytes, as of %s%s\n", args[0], countOf(int(b.Rows), "row", "rows"), size, b.Time.UTC().Format(time.RFC3339), leftOut(b))
		return nil
	}
	return cmd
}

func leftOut(b service.Backup) string {
	if len(b.Without) == 0 {
		return ""
	}
	return ", without " + strings.ReplaceAll(strings.Join(b.Without, ", "), "_", " ")
}

// writeBackup puts a backup in place of the file when it is whole.
func writeBackup(ctx context.Context, path string, fetch func(context.Context, io.Writer) error) (b service.Backup, size int64, err error) {
	if err := checkLinks(path); err != nil {
		return b, 0, err
	}
	f, err := newDraft(path)
	if err != nil {
		return b, 0, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := fetch(ctx, f); err != nil {
		return b, 0, err
	}
	if err := f.Sync(); err != nil {
		return b, 0, err
	}
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return b, 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return b, 0, err
	}
	if b, err = service.CheckBackup("as it came", f); err != nil {
		return b, 0, err
	}
	return b, size, f.publish(path)
}

func newRestore() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "restore FILE --data DIR",
		Short: "Make the folder of a service from a backup",
		Long: `Make the folder of a 'defenderctl serve' from a file of 'defenderctl backup'. The
file is read to its end and checked before anything is written. DIR has to be
empty, or is made.

A service that runs on it goes on from the moment of the backup: alerts that were
sent since then may be sent again.`,
		Example: `  defenderctl restore defender.backup --data ./restored
  defenderctl serve --data ./restored`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return usageError{errors.New("--data is missing, want the folder to restore into")}
			}
			for _, path := range append(service.Files(data), data) {
				if err := checkLinks(path); err != nil {
					return fmt.Errorf("--data: %w", err)
				}
			}
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			b, err := service.Restore(cmd.Context(), args[0], f, data)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s as of %s%s\n", data, countOf(int(b.Rows), "row", "rows"), b.Time.UTC().Format(time.RFC3339), leftOut(b))
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder to restore into: empty, or not there yet")
	return cmd
}
