package localcore

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/device-defender/device-defender/internal/greengrass"
	"github.com/device-defender/device-defender/internal/greengrass/eventrpc"
)

// now is a timestamp of the present, later than anything installed before.
func now() string {
	return fmt.Sprintf("%.3f", float64(time.Now().UnixMilli()+1)/1000)
}

// typesYAML is a configuration with each type of value.
const typesYAML = `
RecipeFormatVersion: "2020-01-25"
ComponentName: com.example.types
ComponentVersion: 1.0.0
ComponentConfiguration:
  DefaultConfiguration:
    whole: 30
    float: 1.5
    yes: true
    none: null
    text: "30"
    date: 2020-01-25
    list: [1, false, x]
    Map: {Inner: 0x10}
Manifests:
  - Platform: {os: "*", runtime: "*"}
    Lifecycle: {run: x}
`

func TestTypesOfARecipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			nucleus greengrass.Nucleus
			recipe  string
			want    string
		}{
			{greengrass.Java, typesYAML, `{"componentName":"com.example.types","value":{"Map":{"Inner":16},"date":"2020-01-25","float":1.5,"list":[1,false,"x"],"none":null,"text":"30","whole":30,"yes":true}}`},
			{greengrass.Lite, typesYAML, `{"componentName":"com.example.types","value":{"Map":{"Inner":"0x10"},"date":"2020-01-25","float":"1.5","list":["1","false","x"],"none":"null","text":"30","whole":"30","yes":"true"}}`},
			{greengrass.Lite, `{"RecipeFormatVersion":"2020-01-25","ComponentName":"com.example.types","ComponentVersion":"1.0.0",
				"ComponentConfiguration":{"DefaultConfiguration":{"float":1.5,"none":null,"whole":30,"yes":true}},
				"Manifests":[{"Platform":{"os":"linux","runtime":"*"},"Lifecycle":{"run":"x"}}]}`,
				`{"componentName":"com.example.types","value":{"float":1.5000000000000000,"none":null,"whole":30,"yes":true}}`},
		} {
			c := newCore(t, Options{Nucleus: test.nucleus})
			p := dial(t, c, install(t, c, test.recipe))
			if diff := cmp.Diff(test.want, p.succeed("GetConfiguration", "{}")); diff != "" {
				t.Errorf("%v (-want +got):\n%s", test.nucleus, diff)
			}
		}
	})
}

func TestGetConfiguration(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		other := install(t, c, typesYAML)
		p := dial(t, c, k)
		for _, test := range []struct{ request, java, lite string }{ // "" is not found
			{`{"keyPath":["nested"]}`, `{"componentName":"com.example.agent","value":{"a":"x","list":[1,2,"three"]}}`,
				`{"componentName":"com.example.agent","value":{"a":"x","list":["1","2","three"]}}`},
			{`{"keyPath":["nested","list"]}`, `{"componentName":"com.example.agent","value":{"list":[1,2,"three"]}}`,
				`{"componentName":"com.example.agent","value":{"list":["1","2","three"]}}`},
			{`{"keyPath":["NESTED","A"]}`, `{"componentName":"com.example.agent","value":{"a":"x"}}`, ""},
			{`{"keyPath":["nested","a","b"]}`, "", ""},
			{`{"componentName":"com.example.types","keyPath":["whole"]}`, `{"componentName":"com.example.types","value":{"whole":30}}`,
				`{"componentName":"com.example.types","value":{"whole":"30"}}`},
			{`{"componentName":"com.example.nobody","keyPath":[]}`, "", ""},
			{`{"componentName":"aws.greengrass.Nucleus","keyPath":["awsRegion"]}`, `{"componentName":"aws.greengrass.Nucleus","value":{"awsRegion":"eu-central-1"}}`,
				`{"componentName":"aws.greengrass.Nucleus","value":{"awsRegion":"eu-central-1"}}`},
		} {
			want, message := test.java, "Key not found"
			if c.lite() {
				want, message = test.lite, "Key not found."
			}
			if want == "" {
				p.refused("GetConfiguration", test.request, "ResourceNotFoundError", message)
			} else if diff := cmp.Diff(want, p.succeed("GetConfiguration", test.request)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.request, diff)
			}
		}
		if c.lite() {
			p.refused("GetConfiguration", `{"keyPath":["1","2","3","4","5","6","7","8","9","10","11","12","13"]}`,
				"ServiceError", "Config path depth larger than supported.")
		}
		if got := other.Configuration()["text"]; got != "30" {
			t.Errorf("Configuration: %v", got)
		}
	})
}

func TestUpdateConfiguration(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		time.Sleep(time.Hour)
		p := dial(t, c, k)
		stream := p.subscribe("SubscribeToConfigurationUpdate", `{"keyPath":["nested"]}`)
		p.subscribe("SubscribeToConfigurationUpdate", `{"keyPath":["interval"]}`)
		update := func(request string) string {
			return fmt.Sprintf(`{"timestamp":%s,%s}`, now(), request)
		}
		changed := func(path string) {
			t.Helper()
			path, isNew := strings.CutPrefix(path, "new ")
			if isNew && !c.lite() { // raises a second event
				defer p.event(stream, "ConfigurationUpdateEvents", `{"configurationUpdateEvent":{"componentName":"com.example.agent","keyPath":`+path+`}}`)
			}
			p.event(stream, "ConfigurationUpdateEvents", `{"configurationUpdateEvent":{"componentName":"com.example.agent","keyPath":`+path+`}}`)
		}

		p.succeed("UpdateConfiguration", update(`"keyPath":["nested"],"valueToMerge":{"a":"x","b":5,"list":[1]}`)) // a stays
		changed(`new ["nested","b"]`)
		changed(`["nested","list"]`)
		p.succeed("UpdateConfiguration", update(`"keyPath":["nested","new"],"valueToMerge":{"deep":{"er":1}}`))
		changed(`new ["nested","new","deep","er"]`)
		p.silent()

		want := map[string]any{"a": "x", "b": 5.0, "list": []any{1.0}, "new": map[string]any{"deep": map[string]any{"er": 1.0}}}
		if c.lite() {
			want = map[string]any{"a": "x", "b": int64(5), "list": []any{int64(1)}, "new": map[string]any{"deep": map[string]any{"er": int64(1)}}}
		}
		if diff := cmp.Diff(any(want), k.Configuration()["nested"]); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}

		for _, restricted := range []string{
			`"keyPath":["accessControl"],"valueToMerge":{"x":1}`,
			`"keyPath":[],"valueToMerge":{"accessControl":{}}`,
			`"valueToMerge":{"accessControl":{}}`,
		} {
			message := "Config update is not allowed for following fields [accessControl]"
			if c.lite() {
				message = "Config update is not allowed for following field [accessControl]"
			}
			p.refused("UpdateConfiguration", update(restricted), "InvalidArgumentsError", message)
		}
		p.succeed("UpdateConfiguration", update(`"keyPath":["nested"],"valueToMerge":{"accessControl":1}`))
		changed(`new ["nested","accessControl"]`)
	})
}

func TestUpdateConfigurationLimits(t *testing.T) {
	for _, test := range []struct {
		payload    string
		java, lite bool // accepted
	}{
		{`{"timestamp":1e300,"valueToMerge":{}}`, false, false},
		{`{"timestamp":9000000000,"valueToMerge":{}}`, true, false},
		{`{"timestamp":9.0E9,"valueToMerge":{}}`, true, true},
		{`{"timestamp":NOW,"valueToMerge":{"long":"` + strings.Repeat("x", 1_024) + `"}}`, true, false},
		{`{"timestamp":NOW,"valueToMerge":{"long":"` + strings.Repeat("x", 1_022) + `"}}`, true, true},
		// The ban is on the exact spelling, the key found in any (run of 2.18).
		{`{"timestamp":NOW,"keyPath":["AccessControl"],"valueToMerge":{"x":"y"}}`, true, true},
	} {
		forBoth(t, func(t *testing.T, c *Core, k *Component) {
			p := dial(t, c, k)
			before := k.Configuration()
			m := p.call("UpdateConfiguration", strings.ReplaceAll(test.payload, "NOW", now()))
			accepted := m.Type == eventrpc.ApplicationMessage
			if want := test.java && !c.lite() || test.lite && c.lite(); accepted != want {
				t.Errorf("%s answered by %s", test.payload, m.Payload)
			}
			if diff := cmp.Diff(before, k.Configuration()); !accepted && diff != "" {
				t.Errorf("%s refused, but:\n%s", test.payload, diff)
			}
		})
	}
}

// Old timestamps: lite keeps the newer leaf and says nothing, Java refuses,
// although it may have merged other leaves.
func TestOldTimestamps(t *testing.T) {
	forBoth(t, func(t *testing.T, c *Core, k *Component) {
		time.Sleep(time.Hour)
		p := dial(t, c, k)
		p.succeed("UpdateConfiguration", fmt.Sprintf(`{"keyPath":["nested"],"timestamp":%s,"valueToMerge":{"a":"new"}}`, now()))
		old := fmt.Sprintf("%.3f", float64(time.Now().Add(-time.Minute).UnixMilli())/1000)
		request := `{"keyPath":["nested"],"timestamp":` + old + `,"valueToMerge":{"a":"old","list":"old"}}`
		if c.lite() {
			p.succeed("UpdateConfiguration", request)
		} else {
			p.refused("UpdateConfiguration", request, "FailedUpdateConditionCheckError", "Proposed timestamp is older than the config's latest modified timestamp")
		}
		// A path that is not there yet takes the nucleus' own time, on Java.
		p.succeed("UpdateConfiguration", `{"keyPath":["fresh"],"timestamp":1.5,"valueToMerge":{"a":"y"}}`)
		got := k.Configuration()
		if diff := cmp.Diff([]any{map[string]any{"a": "new", "list": "old"}, map[string]any{"a": "y"}}, []any{got["nested"], got["fresh"]}); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A component cannot fill the memory with its configuration.
func TestConfigurationIsBounded(t *testing.T) {
	s := newStore(false)
	large := map[string]any{}
	for i := range maxNodes {
		large[fmt.Sprint(i)] = i
	}
	if _, err := s.merge(nil, large, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.merge([]string{"one", "more"}, 1, time.Time{}); err == nil {
		t.Error("no bound")
	}
	s.remove(nil)
	if _, err := s.merge([]string{"one", "more"}, large, time.Time{}); err == nil {
		t.Error("no bound with maps")
	}
}
