package service

import (
	"net/http"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// postReport takes a report over HTTP, which AWS doesn't: there, reports come
// by MQTT alone. It answers with the reply that the thing would get, with
// status 200 when the report is accepted and 400 when it is rejected.
func postReport(s *Service, r *request) (any, error) {
	format, err := report.ParseFormat(r.name("format"))
	if err != nil {
		return nil, notFound("Reports are posted to .../defender/metrics/json or .../defender/metrics/cbor")
	}
	reply := s.Report(r.http.Context(), r.name("thingName"), format, r.body)
	body, err := reply.Encode(format)
	if err != nil {
		return nil, err
	}
	a := &answer{status: http.StatusOK, contentType: "application/" + format.String(), body: body}
	if reply.Status == report.Rejected {
		a.status = http.StatusBadRequest
	}
	return a, nil
}
