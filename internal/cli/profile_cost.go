package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// mostThings keeps the number of a month's datapoints within 64 bits.
const mostThings = 1_000_000_000

func newProfileCost() *cobra.Command {
	var things int
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "cost FILES...",
		Short: "Estimate what AWS charges for profiles in a month",
		Long: `Estimate what Device Defender Detect charges for the profiles in files, if each
is for that many things. AWS charges for datapoints: one value of one metric of
one thing. Metrics that behaviors use and metrics that are retained count, each
once for every interval of 30 days; those that AWS IoT measures itself are taken
to come as often as the things report. Messaging and alerts are not in it.

It's an estimate with the prices of ` + profilefile.PricesOf + `, in US dollars. FILES may be
folders; "-" is standard input. With 'defenderctl serve' in place of AWS there is
no charge.`,
		Example: `  defenderctl profile cost profiles/ --things 1000 --interval 5m
  defenderctl profile cost rule.json --things 40 --interval 15m --output json`,
		Args: cobra.MinimumNArgs(1),
	}
	output := outputFlags(cmd)
	cmd.Flags().IntVar(&things, "things", 1, "how many things the profiles are for")
	cmd.Flags().DurationVar(&interval, "interval", 5*time.Minute, "time between two reports of a thing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case things < 1 || things > mostThings:
			return usageError{fmt.Errorf("--things %d, want 1 to %d", things, mostThings)}
		case interval < time.Second:
			return usageError{fmt.Errorf("--interval %v, want a second or more", interval)}
		}
		set, problems, err := profilefile.Load(args, cmd.InOrStdin())
		if err != nil {
			return err
		}
		if err := showProblems(cmd, append(problems, set.Validate()...)); err != nil {
			return err
		}
		estimate := profilefile.Cost(set, profilefile.Fleet{Things: things, Interval: interval})
		if err := output.write(cmd, costRowOf(estimate, things, interval), costTable(estimate)); err != nil || !output.text() {
			return err
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), "\n"+costNotes(estimate, things, interval))
		return err
	}
	return cmd
}

// costRow is an estimate for programs.
type costRow struct {
	Things          int              `json:"things"`
	IntervalSeconds float64          `json:"intervalSeconds"`
	PricesOf        string           `json:"pricesOf"`
	Profiles        []profileCostRow `json:"profiles"`
	RuleDatapoints  int64            `json:"ruleDatapointsPerMonth"`
	MLDatapoints    int64            `json:"mlDatapointsPerMonth"`
	USD             float64          `json:"usdPerMonth"`
	SharedMetrics   []string         `json:"sharedMetrics,omitempty"`
	OnceUSD         float64          `json:"usdPerMonthIfSharedMetricsCountOnce"`
}

type profileCostRow struct {
	Profile        string   `json:"profile"`
	RuleMetrics    []string `json:"ruleMetrics"`
	MLMetrics      []string `json:"mlMetrics"`
	RuleDatapoints int64    `json:"ruleDatapointsPerMonth"`
	MLDatapoints   int64    `json:"mlDatapointsPerMonth"`
	USD            float64  `json:"usdPerMonth"`
}

func costRowOf(e profilefile.CostEstimate, things int, interval time.Duration) costRow {
	row := costRow{
		Things: things, IntervalSeconds: interval.Seconds(), PricesOf: profilefile.PricesOf, Profiles: []profileCostRow{},
		RuleDatapoints: e.RuleDatapoints, MLDatapoints: e.ModelDatapoints, USD: rounded(e.USD), SharedMetrics: e.Shared, OnceUSD: rounded(e.OnceUSD),
	}
	for _, p := range e.Profiles {
		row.Profiles = append(row.Profiles, profileCostRow{
			p.Profile, append([]string{}, p.RuleMetrics...), append([]string{}, p.ModelMetrics...), p.RuleDatapoints, p.ModelDatapoints, rounded(p.USD),
		})
	}
	return row
}

// rounded is a sum of money without the noise of binary fractions.
func rounded(usd float64) float64 { return math.Round(usd*1e6) / 1e6 }

func costTable(e profilefile.CostEstimate) table {
	t := table{
		header: []string{"PROFILE", "METRICS", "DATAPOINTS", "ML DATAPOINTS", "USD A MONTH"},
		right:  []int{1, 2, 3, 4}, empty: "no profiles",
	}
	row := func(name, metrics string, rules, models int64, usd float64) {
		t.rows = append(t.rows, []string{name, metrics, grouped(rules), grouped(models), money(usd)})
	}
	for _, p := range e.Profiles {
		row(p.Profile, strconv.Itoa(len(p.RuleMetrics)+len(p.ModelMetrics)), p.RuleDatapoints, p.ModelDatapoints, p.USD)
	}
	if len(e.Profiles) > 1 {
		row("total", "", e.RuleDatapoints, e.ModelDatapoints, e.USD)
	}
	return t
}

// costNotes say what the estimate rests on.
func costNotes(e profilefile.CostEstimate, things int, interval time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "An estimate with AWS's prices of %s for 100,000 datapoints: $0.025 for rules; $2.00 for ML, $0.75 above 300,000.\n", profilefile.PricesOf)
	who := "1 thing that reports"
	if things != 1 {
		who = grouped(int64(things)) + " things that report"
	}
	fmt.Fprintf(&b, "For %s every %s, over 30 days.\n", who, shortDuration(interval))
	if len(e.Shared) > 0 {
		is := "are"
		if len(e.Shared) == 1 {
			is = "is"
		}
		fmt.Fprintf(&b, "%s %s kept by more than one profile: %s.\nIf AWS counts the datapoints of a thing once, which it does not document, the total is $%s.\n",
			countOf(len(e.Shared), "metric", "metrics"), is, strings.Join(e.Shared, ", "), money(e.OnceUSD))
	}
	b.WriteString("With 'defenderctl serve' in place of AWS: $0.00.\n")
	return b.String()
}

// money rounds up to a cent: an estimate had better not be too low.
func money(usd float64) string {
	return strconv.FormatFloat(math.Ceil(rounded(usd)*100)/100, 'f', 2, 64)
}

// shortDuration leaves out what is zero: 5m in place of 5m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// grouped puts a comma between every three digits.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
