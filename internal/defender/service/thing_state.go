package service

import (
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// describeThingState answers what AWS IoT does not tell of a thing: when it reported last.
// It does so for things that are not registered, too.
func (s *Service) describeThingState(r *awsrest.Request) (any, error) {
	name := r.Name("thingName")
	state, ok, err := s.Thing(r.Context(), name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, awsrest.NotFound(fmt.Sprintf("Thing %s not found", name))
	}
	return struct {
		Name       string         `json:"thingName"`
		Registered bool           `json:"registered"`
		LastReport *awsrest.Epoch `json:"lastReportDate,omitempty"`
		Silent     bool           `json:"silent"`
	}{name, state.Registered, epochOrNil(state.LastReport), state.Silent}, nil
}
