package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
)

// auditOptions are the flags of audit.
type auditOptions struct {
	aws    *awsOptions
	output *outputOptions
	period periodFlags
	filter cloud.AuditFilter
	most   int
}

func newAudit() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who changed what at the service",
		Long: `Show the audit log of a 'defenderctl serve', the latest entry first: who called
which operation from where, and what was answered. It has every change, logins to
the pages, and calls that were refused; the service keeps it for 90 days. Of many
refused calls only some are kept, and the log says how many are missing.

Reading it needs an access key of the role admin. AWS has CloudTrail for this.`,
		Example: `  defenderctl audit
  defenderctl audit --since 7d --user ana
  defenderctl audit --since 24h --operation DeleteThing --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.aws, o.output = awsFlags(cmd), outputFlags(cmd)
	flags := cmd.Flags()
	o.period.add(flags, "", "entries")
	flags.StringVar(&o.filter.User, "user", "", "only of this user: the name of an access key, or of who logged in")
	flags.StringVar(&o.filter.Operation, "operation", "", "only calls of this operation, such as CreateThing, Login or Logout")
	flags.IntVar(&o.most, "most", 1000, "maximum number of entries")
	return cmd
}

// auditRow is an entry for programs.
type auditRow struct {
	Time       time.Time `json:"time"`
	User       string    `json:"user"`                  // empty: not known
	KeyID      string    `json:"accessKeyId,omitempty"` // not verified when user is empty
	From       string    `json:"sourceAddress"`
	Operation  string    `json:"operation"`
	Path       string    `json:"path"`
	Parameters string    `json:"parameters,omitempty"`
	Status     int       `json:"status"`
	Error      string    `json:"error,omitempty"`
	Omitted    int       `json:"omitted,omitempty"` // refused calls before it that were not kept
}

func (o *auditOptions) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	if o.most < 1 {
		return usageError{fmt.Errorf("--most %d, want 1 and more", o.most)}
	}
	now := o.aws.now(ctx)
	if o.period.given() {
		var err error
		if o.filter.From, o.filter.To, err = o.period.period(cmd.Flags(), now); err != nil {
			return err
		}
	}
	client, err := o.aws.connect(ctx)
	if err != nil {
		return err
	}
	list, more, err := client.AuditEvents(ctx, o.filter, o.most)
	if err != nil {
		return err
	}
	rows := []auditRow{}
	t := table{header: []string{"TIME", "USER", "FROM", "OPERATION", "PATH", "ANSWER"}, empty: "no entry in the audit log"}
	for _, e := range list {
		rows = append(rows, auditRow{e.Time.UTC(), e.User, e.KeyID, e.From, e.Operation, e.Path, e.Parameters, e.Status, e.Error, e.Omitted})
		answer := cmp.Or(e.Error, strconv.Itoa(e.Status))
		if e.Omitted > 0 {
			answer += fmt.Sprintf(" (and %d refused calls before it)", e.Omitted)
		}
		t.rows = append(t.rows, []string{shownTime(e.Time, now.Location()), cmp.Or(e.User, "?"), e.From, e.Operation, e.Path, answer})
	}
	if err := o.output.write(cmd, rows, t); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(cmd.ErrOrStderr(), "there are earlier entries: --most shows more, --to those before a time\n")
	}
	return nil
}
