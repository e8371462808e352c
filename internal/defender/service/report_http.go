package service

import (
	"net/http"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// reportByHTTP takes the report that is the body of a request.
func (s *Service) reportByHTTP(r *awsrest.Request, thing string, format report.Format) report.Reply {
	began := time.Now()
	reply := s.Report(r.Context(), thing, format, r.Body)
	s.http.Took(reply, began, time.Since(began))
	return reply
}

// postReport takes a report over HTTP, which AWS doesn't: there, reports come
// only by MQTT. It answers with the reply that the thing would get, with
// status 200 when the report is accepted and 400 when it is rejected.
func (s *Service) postReport(r *awsrest.Request) (any, error) {
	format, err := report.ParseFormat(r.Name("format"))
	if err != nil {
		return nil, awsrest.NotFound("Reports are posted to .../defender/metrics/json or .../defender/metrics/cbor")
	}
	reply := s.reportByHTTP(r, r.Name("thing"), format)
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
