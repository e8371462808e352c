package service

import (
	"net/http"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// postReport takes a report over HTTP, which AWS doesn't: there, reports come
// only by MQTT. It answers with the reply that the thing would get, with
// status 200 when the report is accepted and 400 when it is rejected.
func (s *Service) postReport(r *awsrest.Request) (any, error) {
	format, err := report.ParseFormat(r.Name("format"))
	if err != nil {
		return nil, awsrest.NotFound("Reports are posted to .../defender/metrics/json or .../defender/metrics/cbor")
	}
	reply := s.Report(r.Context(), r.Name("thing"), format, r.Body)
	body, err := reply.Encode(format)
	if err != nil {
		return nil, err
	}
	a := &awsrest.Answer{Status: http.StatusOK, ContentType: "application/" + format.String(), Body: body}
	if reply.Status == report.Rejected {
		a.Status = http.StatusBadRequest
	}
	return a, nil
}
