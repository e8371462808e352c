package servicetest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// QueryAPI is as much of SNS and IAM as alerts need, in their query protocol.
// It denies every other action.
type QueryAPI struct {
	Topics   map[string]map[string]string // ARN -> attributes
	Roles    map[string]string            // name -> trust policy
	Policies map[string]string            // role/policy -> document
	Calls    []string                     // actions that change something

	mu sync.Mutex
}

func (q *QueryAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action := r.Form.Get("Action")
	answer := func(body string) {
		fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", action, body)
	}
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no such thing</Message></Error></ErrorResponse>", code)
	}
	if !strings.HasPrefix(action, "Get") {
		q.Calls = append(q.Calls, action)
	}
	role, policy := r.Form.Get("RoleName"), r.Form.Get("PolicyName")
	switch action {
	case "GetTopicAttributes":
		attributes, ok := q.Topics[r.Form.Get("TopicArn")]
		if !ok {
			refuse(http.StatusNotFound, "NotFound")
			return
		}
		var entries string
		for name, value := range attributes {
			entries += "<entry><key>" + name + "</key><value>" + value + "</value></entry>"
		}
		answer("<Attributes>" + entries + "</Attributes>")
	case "CreateTopic":
		arn := "arn:aws:sns:us-east-1:123456789012:" + r.Form.Get("Name")
		q.Topics[arn] = map[string]string{"SubscriptionsConfirmed": "0"}
		answer("<TopicArn>" + arn + "</TopicArn>")
	case "GetRole", "CreateRole":
		if action == "CreateRole" {
			q.Roles[role] = r.Form.Get("AssumeRolePolicyDocument")
		}
		trust, ok := q.Roles[role]
		if !ok {
			refuse(http.StatusNotFound, "NoSuchEntity")
			return
		}
		answer("<Role><RoleName>" + role + "</RoleName><AssumeRolePolicyDocument>" + url.QueryEscape(trust) + "</AssumeRolePolicyDocument></Role>")
	case "GetRolePolicy":
		document, ok := q.Policies[role+"/"+policy]
		if !ok {
			refuse(http.StatusNotFound, "NoSuchEntity")
			return
		}
		answer("<PolicyName>" + policy + "</PolicyName><PolicyDocument>" + url.QueryEscape(document) + "</PolicyDocument>")
	case "PutRolePolicy":
		q.Policies[role+"/"+policy] = r.Form.Get("PolicyDocument")
		answer("")
	default:
		refuse(http.StatusForbidden, "AccessDenied")
	}
}

// NewQueryAPI returns one without topics and roles.
func NewQueryAPI() *QueryAPI {
	return &QueryAPI{Topics: map[string]map[string]string{}, Roles: map[string]string{}, Policies: map[string]string{}}
}
