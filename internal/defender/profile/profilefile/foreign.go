package profilefile

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// foreign is a file of another tool.
type foreign struct {
	what string
	at   *node // the first resource of AWS IoT, or all of it
}

const (
	cloudFormation = "a CloudFormation template"
	terraform      = "a Terraform configuration"
	wantDeployed   = `the documents of AWS's API: "defenderctl profile export" writes them, once it is deployed`
)

// foreignTo returns what the value of a file is for, nil if it may be for us.
func foreignTo(n *node) *foreign {
	isResource := func(f field) bool { return strings.HasPrefix(f.value.textOf("Type"), "AWS::") }
	found := &foreign{at: n}
	switch resources := n.get("Resources"); {
	case strings.HasPrefix(n.textOf("Type"), "AWS::"):
		found.what = "a resource of CloudFormation, " + n.textOf("Type")
	case resources != nil && slices.ContainsFunc(resources.fields, isResource), n.get("AWSTemplateFormatVersion") != nil:
		found.what = cloudFormation
		if resources == nil {
			break
		}
		for _, f := range resources.fields {
			if kind := f.value.textOf("Type"); strings.HasPrefix(kind, "AWS::IoT::") {
				found.what, found.at = fmt.Sprintf("%s: %s is %s", found.what, f.key, kind), f.value
				break
			}
		}
	case n.get("resource") != nil || n.get("terraform") != nil:
		found.what = terraform
		for _, kind := range cmp.Or(n.get("resource"), n).fields {
			if strings.HasPrefix(kind.key, "awscc_iot_") && len(kind.value.fields) > 0 {
				first := kind.value.fields[0]
				found.what, found.at = fmt.Sprintf("%s: %s is %s", found.what, first.key, kind.key), first.value
				break
			}
		}
	default:
		return nil
	}
	return found
}

// block is how a block of Terraform's own language begins.
var block = regexp.MustCompile(`(?m)^[ \t]*(?:terraform|locals|(?:resource|data|provider|variable|module|output)(?:[ \t]+"[^"\n]*"){1,2})[ \t]*\{`)

// isHCL reports whether the text is in Terraform's own language.
func isHCL(file string, text []byte) bool {
	ext := filepath.Ext(file)
	return strings.EqualFold(ext, ".tf") || ext == "" && block.Match(text)
}

// textOf returns the text of a key, "" when that is none.
func (n *node) textOf(key string) string {
	if value := n.get(key); value != nil && value.kind == textNode {
		return value.text
	}
	return ""
}

// isBehavior reports whether the node is a behavior without a profile around
// it: no document has these keys.
func isBehavior(n *node) bool {
	return n.kind == objectNode && (n.get("metric") != nil || n.get("criteria") != nil) &&
		!slices.ContainsFunc(n.fields, func(f field) bool {
			return slices.Contains([]string{"securityProfileName", "behaviors", "metricName", "stringValues", "actionName"}, f.key)
		})
}

// behaviors adds a list of behaviors, as --behaviors of the AWS CLI takes it,
// to the set as a profile of its own: what is wrong with them is found all the
// same.
func (d *decoder) behaviors(set *Set, list *node) {
	d.report(list.line, list.column, "", "unknown-document", "behaviors without the security profile that they belong to",
		`{"securityProfileName": NAME, "behaviors": [...]}`)
	d.broken = map[string]bool{}
	for _, key := range []string{"securityProfileName", "alertTargets"} {
		d.breaks(key) // nothing more is to be said of the profile
	}
	d.add(set, ProfileDocument, &node{
		kind: objectNode, line: list.line, column: list.column,
		fields: []field{{"behaviors", list.line, list.column, list}},
	})
}
