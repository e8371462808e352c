package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
)

// awsOptions are the flags of commands that work with AWS IoT.
type awsOptions struct {
	cloud.Options
	local bool
}

// awsFlags adds the flags to a command.
func awsFlags(cmd *cobra.Command) *awsOptions {
	o := &awsOptions{}
	flags := cmd.Flags()
	flags.StringVar(&o.Profile, "profile", "", "AWS profile with credentials and region (default $AWS_PROFILE)")
	flags.StringVar(&o.Region, "region", "", "AWS region (default $AWS_REGION, or the AWS profile's)")
	flags.StringVar(&o.EndpointURL, "endpoint-url", "", "endpoint of AWS IoT (default $AWS_ENDPOINT_URL_IOT, or AWS's own)")
	flags.BoolVar(&o.local, "local", false, "work with 'defenderctl serve' on this machine: --endpoint-url "+cloud.LocalEndpoint)
	flags.StringVar(&o.Account, "account", "", "number of the AWS account, where STS cannot be asked")
	return o
}

// now is the time where the command works.
func (o *awsOptions) now(ctx context.Context) time.Time {
	options := o.Options
	if o.local {
		options.EndpointURL = cloud.LocalEndpoint
	}
	return options.Now(ctx)
}

// connect makes the client.
func (o *awsOptions) connect(ctx context.Context) (*cloud.Client, error) {
	options := o.Options
	if o.local {
		if o.EndpointURL != "" {
			return nil, usageError{errors.New("--local and --endpoint-url exclude each other")}
		}
		options.EndpointURL = cloud.LocalEndpoint
	}
	if err := options.Check(); err != nil {
		return nil, usageError{err}
	}
	return cloud.Connect(ctx, options)
}

// completionPatience is how long the shell waits for names. Tests wait longer.
var completionPatience = 3 * time.Second

// completeProfileNames completes arguments with the security profiles of the
// account, those that are there already excepted.
func (o *awsOptions) completeProfileNames(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	client, err := o.connect(ctx)
	if err != nil {
		cobra.CompDebugln(fmt.Sprint("defenderctl: ", err), false)
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := client.ProfileNames(ctx)
	if err != nil {
		cobra.CompDebugln(fmt.Sprint("defenderctl: ", err), false)
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.Contains(args, name) || !strings.HasPrefix(name, toComplete)
	}), cobra.ShellCompDirectiveNoFileComp
}
