package cli

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func newThing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "thing",
		Short: "Work with the service's registry of things",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newThingRegister())
	return cmd
}

func newThingRegister() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "register NAME --certificate FILE",
		Short: "Have a thing known by its certificate",
		Long: `Have the service know a thing by its certificate: whoever connects by MQTT with
that certificate and its key is the thing. The thing is created when there is
none of the name. FILE is PEM, and has the certificate first; who issued it does
not matter, as it is known by its SHA-256. "-" is standard input.

Certificates that AWS IoT made for its things can stay: a thing that moves here
needs another endpoint, and nothing else. A thing can have four, so that it
has the next one before the last ends.

This is an operation of 'defenderctl serve', not of AWS IoT.`,
		Example: `  defenderctl thing register core-1 --certificate thingCert.crt --local`,
		Args:    cobra.ExactArgs(1),
	}
	aws := awsFlags(cmd)
	cmd.Flags().StringVar(&file, "certificate", "", "file of the thing's certificate, in PEM")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return usageError{errors.New("--certificate is missing")}
		}
		certificate, err := readCertificate(cmd.InOrStdin(), file)
		if err != nil {
			return err
		}
		client, err := aws.connect(cmd.Context())
		if err != nil {
			return err
		}
		id, err := client.RegisterThingCertificate(cmd.Context(), args[0], certificate)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "thing %s is known by certificate %s\n", args[0], id)
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
