package cloud

import (
	"context"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// AWS's quotas of calls per second, of one operation in one account and region
// (General Reference, "AWS IoT Device Defender endpoints and quotas"): 10
// unless listed here.
var callsPerSecond = map[string]rate.Limit{
	"DescribeSecurityProfile":  25,
	"DescribeCustomMetric":     25,
	"DescribeMitigationAction": 25,
	"ListMetricValues":         15,
}

const (
	otherCallsPerSecond = 10
	// quotaShare is what we take of a quota: there may be others in the
	// account, and the clocks of two ends do not agree on a second.
	quotaShare = 0.8
)

// pacer spaces the calls of each operation.
type pacer struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

func newPacer() *pacer { return &pacer{limiters: map[string]*rate.Limiter{}} }

// limiter returns the operation's. A burst of one call spaces them evenly, so
// that no second has more than its share.
func (p *pacer) limiter(operation string) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.limiters[operation]
	if l == nil {
		limit, ok := callsPerSecond[operation]
		if !ok {
			limit = otherCallsPerSecond
		}
		l = rate.NewLimiter(limit*quotaShare, 1)
		p.limiters[operation] = l
	}
	return l
}

// add puts the pacer behind the retries, each of which is a call too.
func (p *pacer) add(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Pace",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := p.limiter(awsmiddleware.GetOperationName(ctx)).Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
}
