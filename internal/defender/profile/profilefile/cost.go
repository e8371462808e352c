package profilefile

import (
	"slices"
	"time"
)

// PricesOf is the date of the prices that Cost takes: those of AWS IoT Device
// Defender's pricing page, in US dollars.
const PricesOf = "2026-09-20"

// Prices of Detect in USD for 100,000 datapoints. ML Detect has further tiers
// from 10 million on, at less; there Cost says too much.
const (
	rulePrice     = 0.025
	modelPrice    = 2.00
	modelMore     = 0.75
	modelMoreFrom = 300_000
	perDatapoints = 100_000
)

// month is AWS's own in its examples.
const month = 30 * 24 * time.Hour

// Fleet is who reports how often.
type Fleet struct {
	Things   int
	Interval time.Duration // between two reports of a thing; positive
}

// ProfileCost is what one profile costs in a month. A datapoint is one value
// of one metric of one thing.
type ProfileCost struct {
	Profile         string
	RuleMetrics     []string // that are kept for rules, or retained; a dimension follows its metric in parentheses
	ModelMetrics    []string // that ML Detect models
	RuleDatapoints  int64
	ModelDatapoints int64
	USD             float64
}

// CostEstimate is what the profiles of a set cost in a month.
type CostEstimate struct {
	Profiles []ProfileCost
	// The sums of all profiles. A price that falls with the number of
	// datapoints makes USD less than the sum of the profiles' own.
	RuleDatapoints  int64
	ModelDatapoints int64
	USD             float64
	// Shared are the metrics that more than one profile keeps. AWS doesn't
	// document whether their datapoints are charged once: then the cost is
	// OnceUSD, if the profiles are for the same things.
	Shared  []string
	OnceUSD float64
}

// Cost estimates what Detect charges for the profiles of the set, if each is
// for the whole fleet. Metrics that behaviors use and those that are retained
// count. Metrics that AWS IoT measures itself are taken to have a value as
// often as the things report.
func Cost(s *Set, f Fleet) CostEstimate {
	var e CostEstimate
	each := int64(month/f.Interval) * int64(f.Things)
	var all []string // in the order of the documents
	users := map[string]int{}
	modelled := map[string]bool{} // by any profile
	for i := range s.Profiles {
		p := &s.Profiles[i]
		c := ProfileCost{Profile: p.Name}
		var names []string
		models := map[string]bool{}
		for _, u := range p.Uses() {
			name := u.String()
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if u.Behavior != nil && u.Behavior.Criteria != nil && u.Behavior.Criteria.MLDetectionConfig != nil {
				models[name], modelled[name] = true, true
			}
		}
		for _, name := range names {
			if users[name]++; users[name] == 1 {
				all = append(all, name)
			}
			if models[name] {
				c.ModelMetrics = append(c.ModelMetrics, name)
			} else {
				c.RuleMetrics = append(c.RuleMetrics, name)
			}
		}
		c.RuleDatapoints, c.ModelDatapoints = each*int64(len(c.RuleMetrics)), each*int64(len(c.ModelMetrics))
		c.USD = charge(c.RuleDatapoints, c.ModelDatapoints)
		e.RuleDatapoints += c.RuleDatapoints
		e.ModelDatapoints += c.ModelDatapoints
		e.Profiles = append(e.Profiles, c)
	}
	e.USD = charge(e.RuleDatapoints, e.ModelDatapoints)
	for _, name := range all {
		if users[name] > 1 {
			e.Shared = append(e.Shared, name)
		}
	}
	e.OnceUSD = charge(each*int64(len(all)-len(modelled)), each*int64(len(modelled)))
	return e
}

// charge returns the price of a month's datapoints in USD.
func charge(rules, models int64) float64 {
	first := min(models, modelMoreFrom)
	return (float64(rules)*rulePrice + float64(first)*modelPrice + float64(models-first)*modelMore) / perDatapoints
}
