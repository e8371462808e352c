package service

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
)

// A profile that is updated to the same in other words is evaluated as before:
// its alarms neither end nor are raised again, and no alert is sent.
func TestUpdateInOtherWords(t *testing.T) {
	b := newBench(t, Options{})
	behavior := types.Behavior{
		Name: aws.String("Ports"), Metric: aws.String("aws:listening-tcp-ports"),
		Criteria: &types.BehaviorCriteria{ComparisonOperator: types.ComparisonOperatorInPortSet, Value: &types.MetricValue{Ports: []int32{22, 443, 8883}}},
	}
	b.attach(profileOf("Ports", behavior))
	b.reports("thing-1", ports(23))
	behavior.Criteria.Value.Ports = []int32{8883, 22, 443}
	behavior.Criteria.ConsecutiveDatapointsToAlarm = aws.Int32(1)
	if _, err := b.client.UpdateSecurityProfile(t.Context(), &iot.UpdateSecurityProfileInput{SecurityProfileName: aws.String("Ports"), Behaviors: []types.Behavior{behavior}}); err != nil {
		t.Fatal(err)
	}
	b.restart()
	b.after(300 * time.Second)
	b.reports("thing-1", ports(23))
	b.wantHistory("0s thing-1 Ports in-alarm [23]")
	if active := b.active(); len(active) != 1 {
		t.Errorf("%d active violations, want 1", len(active))
	}
}
