package cloud

import "context"

// Setup is what has to be done in an account so that something works there. It
// may be run again: what is done already is not done twice.
type Setup struct {
	Steps []SetupStep
	Hints []string // what this program cannot see to
}

// SetupStep is one part of it.
type SetupStep struct {
	What string // as "create topic device-defender-alerts"
	Done bool   // it is so already
	Note string // may be empty
	// Deletes says that something is gone afterwards.
	Deletes bool
	Lost    string // what goes wrong until it is done; may be empty

	run func(context.Context) error
}

// Changes is the number of steps that are not done.
func (s *Setup) Changes() (n int) {
	for _, step := range s.Steps {
		if !step.Done {
			n++
		}
	}
	return n
}

// Apply does what is to be done, in order. progress hears of each step that is
// over. A step that failed ends it; planning and running again does the rest.
func (s *Setup) Apply(ctx context.Context, progress func(SetupStep)) error {
	for i := range s.Steps {
		step := &s.Steps[i]
		if step.Done {
			continue
		}
		if err := step.run(ctx); err != nil {
			return err
		}
		step.Done = true
		progress(*step)
	}
	return nil
}
