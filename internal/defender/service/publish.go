package service

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/report"
)

// Quotas of AWS IoT Core's message broker (AWS General Reference): of a payload, of a
// topic without a basic ingest prefix, and of the slashes in it.
const (
	maxPublish      = 128 << 10
	maxTopicName    = 256
	maxTopicSlashes = 7
)

// publish is the operation Publish of AWS IoT's data plane. A report is taken, and
// answered as AWS does: the verdict is only told by the reply on the report's topic, to
// those who subscribe to it. Here as there the answer means that the message is durable. A message
// on another topic has no subscriber, and is accepted and dropped; of topics with a $
// AWS has only those of things.
func (s *Service) publish(r *awsrest.Request) (any, error) {
	topic := r.Name("topic")
	if err := checkPublish(r, topic); err != nil {
		return nil, err
	}
	thing, format, ok := report.ParseTopic(topic)
	if !ok {
		return struct{}{}, nil
	}
	reply := s.reportByHTTP(r, thing, format)
	if reply.Status == report.Rejected && reply.ErrorCode == CodeUnavailable {
		return nil, &awsrest.Error{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable, Message: reply.ErrorMessage}
	}
	return struct{}{}, nil
}

func checkPublish(r *awsrest.Request, topic string) error {
	if len(r.Body) > maxPublish {
		return &awsrest.Error{Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("the payload has %d bytes, and there can be %d", len(r.Body), maxPublish)}
	}
	bare := topic
	if rest, ok := strings.CutPrefix(topic, "$aws/"); ok {
		if bare, ok = strings.CutPrefix(rest, "things/"); !ok {
			return awsrest.Constraint("topic", topic, "Member must be of a thing when it begins with $aws/")
		}
	}
	switch {
	case bare == "" || len(bare) > maxTopicName || !utf8.ValidString(topic):
		return awsrest.Constraint("topic", topic, fmt.Sprintf("Member must have 1 to %d bytes of UTF-8", maxTopicName))
	case strings.ContainsAny(topic, "+#\x00"):
		return awsrest.Constraint("topic", topic, "Member must not have a wildcard or a zero byte")
	case strings.HasPrefix(bare, "$"):
		return awsrest.Constraint("topic", topic, "Member must not begin with $ unless it is $aws/things/")
	case strings.Count(bare, "/") > maxTopicSlashes:
		return awsrest.Constraint("topic", topic, fmt.Sprintf("Member must have at most %d slashes", maxTopicSlashes))
	}
	if _, err := r.QueryOneOf("qos", "0", "1"); err != nil {
		return err
	}
	if _, err := r.QueryBool("retain"); err != nil {
		return err
	}
	_, err := r.QueryInt("messageExpiry")
	return err
}
