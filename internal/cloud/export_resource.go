package cloud

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// A document as CloudFormation and Terraform's awscc provider have it: they
// are both made of CloudFormation's resource schemas (aws-iot-securityprofile,
// aws-iot-custommetric and aws-iot-dimension), which spell the API's names in
// CamelCase. They differ from the API's document in these: the count is a
// text, targets are TargetArns, and AdditionalMetricsToRetain, which is
// deprecated, is not there.

// resource is one resource.
type resource struct {
	kind       string // as SecurityProfile
	id         string // in the file
	properties object
	needs      []string // ids of resources, with kind where the form wants it
}

// member is one property, its value a string, bool, int64, float64, []any,
// object or dictionary.
type member struct {
	name  string // in CamelCase
	value any
}

// object is one with an order.
type object []member

// dictionary is an object whose keys are data, as SNS is, and no names of the
// schema.
type dictionary object

// resources returns the resources of a set, those first that others need. id
// makes up the id of one of that kind and name.
func resources(set *profilefile.Set, id func(kind, name string) string) []resource {
	var out []resource
	metrics, dimensions := map[string]string{}, map[string]string{}
	for _, m := range set.CustomMetrics {
		r := resource{kind: "CustomMetric", id: id("CustomMetric", m.Name), properties: propertiesOf(m)}
		metrics[m.Name] = r.id
		out = append(out, r)
	}
	for _, d := range set.Dimensions {
		r := resource{kind: "Dimension", id: id("Dimension", d.Name), properties: propertiesOf(d)}
		dimensions[d.Name] = r.id
		out = append(out, r)
	}
	for _, p := range set.Profiles {
		r := resource{kind: "SecurityProfile", id: id("SecurityProfile", p.Name)}
		usedMetrics, usedDimensions := references([]profile.Profile{p})
		for _, name := range usedMetrics {
			r.needs = append(r.needs, metrics[name])
		}
		for _, name := range usedDimensions {
			r.needs = append(r.needs, dimensions[name])
		}
		p.AdditionalMetricsToRetain, p.AdditionalMetricsToRetainV2 = nil, profile.RetainedMetrics(&p)
		p.Lint = nil
		r.properties = propertiesOf(p)
		out = append(out, r)
	}
	return out
}

// propertiesOf returns a document's properties, in its order.
func propertiesOf(document any) object {
	return propertyValue(reflect.ValueOf(document)).(object)
}

// propertyValue returns nil for what is absent.
func propertyValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return propertyValue(v.Elem())
	case reflect.Struct:
		p := object{}
		for i := range v.NumField() {
			key, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			value := propertyValue(v.Field(i))
			if n, ok := value.(int64); ok && key == "count" {
				value = strconv.FormatInt(n, 10)
			}
			if value == nil || value == "" && options == "omitempty" && key != "Value" {
				continue
			}
			if key == "targets" {
				key = "targetArns"
			}
			p = append(p, member{strings.ToUpper(key[:1]) + key[1:], value})
		}
		return p
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		p := dictionary{}
		for _, key := range v.MapKeys() {
			p = append(p, member{key.String(), propertyValue(v.MapIndex(key))})
		}
		slices.SortFunc(p, func(a, b member) int { return strings.Compare(a.name, b.name) })
		return p
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = propertyValue(v.Index(i))
		}
		return list
	case reflect.Int64, reflect.Int32:
		return v.Int()
	case reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	}
	return v.String()
}
