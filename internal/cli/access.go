package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/access"
	"github.com/device-defender/device-defender/internal/defender/service"
)

func newAccess() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Access keys of a 'defenderctl serve' with authentication",
		Long: `Work with the access keys of a 'defenderctl serve' that has authentication. Its
first start wrote one of the role admin to admin-credentials in its folder:

  export AWS_SHARED_CREDENTIALS_FILE=./defender/admin-credentials
  export AWS_ENDPOINT_URL_IOT=https://defender.example:8443 AWS_CA_BUNDLE=ca.pem
  export AWS_REGION=us-east-1

The roles are:

  viewer    reads everything
  operator  changes profiles, metrics, things and groups as well
  ingest    reports metrics, and nothing else
  admin     all of it, mitigation and access keys as well`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAccessCreate(), newAccessList(), newAccessRotate(), newAccessDelete())
	return cmd
}

// accessKeyRow is an access key for programs.
type accessKeyRow struct {
	Name    string    `json:"accessKeyName"`
	ID      string    `json:"accessKeyId"`
	Role    string    `json:"role"`
	Created time.Time `json:"created"`
	Secret  string    `json:"secretAccessKey,omitempty"`
}

func accessKeyRowOf(k cloud.AccessKey) accessKeyRow {
	return accessKeyRow{k.Name, k.ID, k.Role, k.Created.UTC(), k.Secret}
}

func newAccessCreate() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make an access key",
		Long: `Make an access key, and write it in the format of AWS's credentials file. The
secret is shown only now.`,
		Example: `  (umask 077; defenderctl access create ana --role viewer >ana-credentials)
  defenderctl access create gateway-7 --role ingest --output json`,
		Args: cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.Flags().StringVar(&role, "role", "", "what its holder may do: "+strings.Join(service.Roles(), ", "))
	// The error is for flags that don't exist.
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(service.Roles(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if role == "" {
			return usageError{errors.New("--role is missing, want " + strings.Join(service.Roles(), ", "))}
		}
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		key, err := client.CreateAccessKey(cmd.Context(), args[0], role)
		if err != nil {
			return err
		}
		return writeNewKey(cmd, output, key)
	}
	return cmd
}

func newAccessRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give an access key a new id and secret",
		Long: `Give an access key a new id and secret, and write them as 'access create' does.
The old ones are refused at once: to change over without a gap, create another
access key and delete this one later.`,
		Example: `  (umask 077; defenderctl access rotate ana >ana-credentials)`,
		Args:    cobra.ExactArgs(1),
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		key, err := client.RotateAccessKey(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return writeNewKey(cmd, output, key)
	}
	return cmd
}

// writeNewKey writes an access key with its secret.
func writeNewKey(cmd *cobra.Command, output *outputOptions, key cloud.AccessKey) error {
	if !output.text() {
		return output.write(cmd, accessKeyRowOf(key), table{})
	}
	if _, err := fmt.Fprint(cmd.OutOrStdout(), access.Credentials(key.ID, key.Secret)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "access key %s, role %s; the secret is not shown again\n", key.Name, key.Role)
	return nil
}

func newAccessList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the access keys, without their secrets",
		Example: `  defenderctl access list`,
		Args:    cobra.NoArgs,
	}
	a, output := awsFlags(cmd), outputFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		keys, err := client.AccessKeys(cmd.Context())
		if err != nil {
			return err
		}
		t := table{header: []string{"NAME", "ROLE", "ACCESS KEY ID", "CREATED"}, empty: "no access key"}
		rows := []accessKeyRow{}
		for _, key := range keys {
			rows = append(rows, accessKeyRowOf(key))
			t.rows = append(t.rows, []string{key.Name, key.Role, key.ID, shownTime(key.Created, time.Local)})
		}
		return output.write(cmd, rows, t)
	}
	return cmd
}

func newAccessDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete an access key, which is refused at once",
		Example: `  defenderctl access delete ana`,
		Args:    cobra.ExactArgs(1),
	}
	a := awsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		if err := client.DeleteAccessKey(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "access key %s deleted\n", args[0])
		return nil
	}
	return cmd
}
