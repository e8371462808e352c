package service

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"strings"
)

// Bounds of the parameters in a row of the audit log.
const (
	maxAuditParameters = 1024 // bytes
	maxAuditText       = 128  // bytes of a text
	maxAuditList       = 20   // members of a list
)

// secretMember is the name of a member whose value is not kept.
var secretMember = regexp.MustCompile(`(?i)secret|password|passwd|token|credential|authorization|private.?key`)

// auditParameters is what a call asked for, as far as the audit log keeps it: the
// members of query and body as one line of JSON. Long texts and lists are cut, and
// then the whole; what is named like a secret is left out.
func auditParameters(query url.Values, body []byte) string {
	members := map[string]any{}
	for name, values := range query {
		if !strings.HasPrefix(name, "X-Amz-") { // a signature
			members[name] = strings.Join(values, ", ")
		}
	}
	var in map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&in) == nil {
		maps.Copy(members, in)
	}
	if len(members) == 0 {
		return ""
	}
	text, err := json.Marshal(shortened(members))
	if err != nil {
		return ""
	}
	return clip(string(text), maxAuditParameters)
}

// shortened is a value of JSON without secrets, and with short texts and lists.
func shortened(value any) any {
	switch value := value.(type) {
	case map[string]any:
		short := make(map[string]any, len(value))
		for name, v := range value {
			if secretMember.MatchString(name) {
				short[clip(name, maxAuditText)] = "(not kept)"
				continue
			}
			short[clip(name, maxAuditText)] = shortened(v)
		}
		return short
	case []any:
		short := make([]any, 0, min(len(value), maxAuditList))
		for _, v := range value[:min(len(value), maxAuditList)] {
			short = append(short, shortened(v))
		}
		if len(value) > maxAuditList {
			short = append(short, "...")
		}
		return short
	case string:
		return clip(value, maxAuditText)
	case json.Number: // of any number of digits
		if len(value) > maxAuditText {
			return clip(value.String(), maxAuditText)
		}
	}
	return value
}
