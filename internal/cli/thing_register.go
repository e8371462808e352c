package cli

import (
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func newThingRegister() *cobra.Command {
	var file string
	var attributes map[string]string
	cmd := &cobra.Command{
		Use:   "register NAME [--certificate FILE]",
		Short: "Create a thing, or have it known by a certificate",
		Long: `Create a thing. One that exists with the same attributes stays as it is.

With --certificate the service knows the thing by that certificate: whoever
connects by MQTT with it and its key is the thing. FILE is PEM, and has the
certificate first; who issued it does not matter, as it is known by its SHA-256.
"-" is standard input.

Certificates that AWS IoT made for its things can stay: a thing that moves here
needs another endpoint, and nothing else. A thing can have four, so that it
has the next one before the last ends.

--certificate is of 'defenderctl serve'; AWS IoT attaches certificates that it
has itself (aws iot attach-thing-principal).`,
		Example: `  defenderctl thing register core-1 --certificate thingCert.crt --local
  defenderctl thing register core-2 --attribute site=north`,
		Args: cobra.ExactArgs(1),
	}
	a := awsFlags(cmd)
	cmd.Flags().StringVar(&file, "certificate", "", "file of the thing's certificate, in PEM")
	cmd.Flags().StringToStringVar(&attributes, "attribute", nil, "attribute of a new thing, as NAME=VALUE")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, certificate := args[0], ""
		if file != "" {
			var err error
			if certificate, err = readCertificate(cmd.InOrStdin(), file); err != nil {
				return err
			}
		}
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		if file == "" || len(attributes) > 0 {
			if err := client.CreateThing(cmd.Context(), name, attributes); err != nil {
				return err
			}
		}
		if file == "" {
			fmt.Fprintf(cmd.OutOrStdout(), "thing %s is registered\n", name)
			return nil
		}
		id, err := client.RegisterThingCertificate(cmd.Context(), name, certificate)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "thing %s is known by certificate %s\n", name, id)
		return nil
	}
	return cmd
}

// readCertificate returns the first certificate of a file, and nothing else that it has: a key
// beside it does not leave this machine.
func readCertificate(stdin io.Reader, name string) (string, error) {
	const most = 1 << 20
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("--certificate: %w", err)
		}
		defer f.Close()
		stdin = f
	}
	data, err := io.ReadAll(io.LimitReader(stdin, most))
	if err != nil {
		return "", fmt.Errorf("--certificate: reading %s: %w", name, err)
	}
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return "", fmt.Errorf("--certificate: %s has no certificate in PEM", name)
		}
		if block.Type == "CERTIFICATE" {
			return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})), nil
		}
		data = rest
	}
}
