package server

import "github.com/device-defender/device-defender/internal/ingest/subscribe"

// SubscribeOptions say where a server subscribes: see [subscribe.Options]. The way in, Connected and the log are the server's.
type SubscribeOptions = subscribe.Options

// Subscribe has the server take reports from a broker of MQTT, once it runs.
func (s *Server) Subscribe(o SubscribeOptions) error {
	tally := s.Tally("broker")
	o.Intake, o.Connected, o.Log = s.intake.By(tally), tally.Connected, s.log
	source, err := subscribe.New(o)
	if err != nil {
		return err
	}
	s.sources = append(s.sources, source)
	return nil
}
