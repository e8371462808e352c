package profile

import "fmt"

// StatisticalNorm is a percentile of what all things measure. It is for its
// user to know, and to compare with: of a value alone nothing can be said.
type StatisticalNorm struct {
	Comparison
	Percent float64
	kind    Kind
}

func newStatisticalNorm(s *StatisticalThreshold, c Comparison, kind Kind) (*StatisticalNorm, error) {
	percent, ok := StatisticPercent(s.Statistic)
	if !ok {
		return nil, fmt.Errorf("statistic %.64q is not one", s.Statistic)
	}
	return &StatisticalNorm{Comparison: c, Percent: percent, kind: kind}, nil
}

// Kind is Count or Number, "" when the metric's is not known.
func (n *StatisticalNorm) Kind() Kind { return n.kind }

// Conforms does not know.
func (n *StatisticalNorm) Conforms(Value) (conforms, known bool) { return false, false }

// Offending returns nothing, as a number has no elements.
func (n *StatisticalNorm) Offending(Value) Value { return Value{} }

func (n *StatisticalNorm) String() string {
	return fmt.Sprintf("%s %+v p%v", n.kind, n.Comparison, n.Percent)
}
