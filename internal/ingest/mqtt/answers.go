package mqtt

import (
	"encoding/json"
	"strings"
	"time"
)

// maxRequest is the longest request of jobs or shadows that is read: AWS's quota of a
// shadow.
const maxRequest = 8 << 10

// answer returns what an account without jobs and shadows answers to a message of a thing,
// by the MQTT APIs of AWS IoT Jobs and of shadows, and on which topic; "" is nothing. A core
// asks for both when it connects.
func answer(thing, topic string, payload []byte, now time.Time) (string, []byte) {
	rest, _ := strings.CutPrefix(topic, "$aws/things/"+thing+"/")
	levels := strings.Split(rest, "/")
	service, verb := levels[0], levels[len(levels)-1]
	if len(levels) < 2 || len(payload) > maxRequest {
		return "", nil
	}
	var verdict string
	var fields map[string]any
	switch service {
	case "jobs":
		verdict, fields = answerJobs(levels[1:len(levels)-1], verb)
		if verdict != "" {
			fields["timestamp"] = now.Unix()
		}
	case "shadow":
		name, ok := shadowName(thing, levels[1:len(levels)-1])
		if !ok {
			return "", nil
		}
		verdict, fields = answerShadow(name, verb)
		if verdict != "" {
			fields["timestamp"] = now.Unix()
		}
	}
	if verdict == "" {
		return "", nil
	}
	var request struct {
		Token string `json:"clientToken"`
	}
	if json.Unmarshal(payload, &request) == nil && request.Token != "" {
		fields["clientToken"] = request.Token
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return "", nil
	}
	return topic + "/" + verdict, data
}

// answerJobs answers a request of jobs. between is what is between jobs and the verb: a job's
// id, $next, and maybe a namespace. Where there is no job, the answer has no execution.
func answerJobs(between []string, verb string) (verdict string, fields map[string]any) {
	next := len(between) > 0 && between[0] == "$next"
	switch {
	case verb == "get" && len(between) == 0:
		return "accepted", map[string]any{"inProgressJobs": []any{}, "queuedJobs": []any{}}
	case verb == "get" && next, verb == "start-next":
		return "accepted", map[string]any{}
	case (verb == "get" || verb == "update") && len(between) > 0:
		return "rejected", map[string]any{"code": "ResourceNotFound", "message": "There is no such job"}
	}
	return "", nil
}

// shadowName is the name of a shadow as AWS's errors have it.
func shadowName(thing string, between []string) (string, bool) {
	switch {
	case len(between) == 0:
		return thing, true
	case len(between) == 2 && between[0] == "name":
		return thing + "~" + between[1], true
	}
	return "", false
}

func answerShadow(name, verb string) (verdict string, fields map[string]any) {
	switch verb {
	case "get", "delete":
		return "rejected", map[string]any{"code": 404, "message": "No shadow exists with name: '" + name + "'"}
	case "update":
		return "rejected", map[string]any{"code": 403, "message": "Forbidden: the service keeps no shadows"}
	}
	return "", nil
}
