package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// CloudFormation returns the set as a template in JSON. Its resources are not
// deleted with the stack, nor when an update replaces them: they can be imported
// into a stack, as they are there already.
func CloudFormation(set *profilefile.Set) []byte {
	ids := identifiers{}
	var all object
	for _, r := range resources(set, func(kind, name string) string { return ids.of(kind, name, "", isAlphanumeric) }) {
		body := object{{"Type", "AWS::IoT::" + r.kind}}
		if r.needs != nil {
			body = append(body, member{"DependsOn", r.needs})
		}
		all = append(all, member{r.id, append(body, member{"DeletionPolicy", "Retain"}, member{"UpdateReplacePolicy", "Retain"}, member{"Properties", r.properties})})
	}
	return profilefile.EncodeJSON(object{
		{"AWSTemplateFormatVersion", "2010-09-09"},
		{"Description", "AWS IoT Device Defender Detect: security profiles, and the custom metrics and dimensions that they use"},
		{"Resources", all},
	})
}

// MarshalJSON keeps the order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, m := range o {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		b.WriteByte(separator)
		for j, part := range []any{m.name, m.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(part); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	if len(o) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalJSON is that of an object.
func (d dictionary) MarshalJSON() ([]byte, error) { return object(d).MarshalJSON() }
