package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
)

// pageOf gets one page of a list, whose items are the answer's one array.
func pageOf(t *testing.T, handler http.Handler, path string, parameters ...string) (items []string, token string) {
	t.Helper()
	query := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	w := send(t, handler, "GET", path+separator+query.Encode(), nil, "")
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	for name, member := range answer {
		if name == "nextToken" {
			token = member.(string)
			continue
		}
		for _, item := range member.([]any) {
			items = append(items, fmt.Sprint(item))
		}
	}
	return items, token
}

// TestEveryListHasPages reads each list in pages of two.
func TestEveryListHasPages(t *testing.T) {
	handler := openService(t, Options{}).Handler()
	post := func(method, path, body string) {
		t.Helper()
		if w := send(t, handler, method, path, jsonBody, body); w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	var want []string
	post("POST", "/thing-groups/root", "")
	post("POST", "/things/t", "")
	post("POST", "/custom-metric/used", `{"metricType":"number","clientRequestToken":"used"}`)
	post("POST", "/security-profiles/P", "")
	for i := range 5 {
		n := fmt.Sprint("n", i)
		want = append(want, n)
		post("POST", "/security-profiles/"+n, `{"additionalMetricsToRetain":["used"]}`)
		post("POST", "/custom-metric/"+n, `{"metricType":"number","clientRequestToken":"`+n+`"}`)
		post("POST", "/dimensions/"+n, `{"type":"TOPIC_FILTER","stringValues":["a"],"clientRequestToken":"`+n+`"}`)
		post("POST", "/things/"+n, `{"attributePayload":{"attributes":{"k":"v"}}}`)
		post("POST", "/thing-groups/"+n, "")
		post("POST", "/thing-groups/child-"+n, `{"parentGroupName":"root"}`)
		post("PUT", "/security-profiles/P/targets?securityProfileTargetArn="+account+"thinggroup/"+n, "")
		post("PUT", "/security-profiles/"+n+"/targets?securityProfileTargetArn="+account+"all/things", "")
		post("PUT", "/thing-groups/addThingToThingGroup", `{"thingGroupName":"`+n+`","thingName":"t"}`)
		post("PUT", "/thing-groups/addThingToThingGroup", `{"thingGroupName":"child-`+n+`","thingName":"`+n+`"}`)
	}
	post("PUT", "/thing-groups/addThingToThingGroup", `{"thingGroupName":"root","thingName":"t"}`)
	for path, want := range map[string][]string{
		"/security-profiles":                 append([]string{"P"}, want...),
		"/security-profiles?metricName=used": want,
		"/security-profiles/P/targets":       want,
		"/security-profiles-for-target?securityProfileTargetArn=" + account + "all/things": want,
		"/custom-metrics":                          append(slices.Clone(want), "used"),
		"/dimensions":                              want,
		"/things":                                  append(slices.Clone(want), "t"),
		"/things?attributeName=k":                  want,
		"/things/t/thing-groups":                   append(slices.Clone(want), "root"),
		"/thing-groups?namePrefixFilter=n":         want,
		"/thing-groups?parentGroup=root":           want,
		"/thing-groups/root/things?recursive=true": append(slices.Clone(want), "t"),
	} {
		var got []string
		for token := ""; ; {
			parameters := []string{"maxResults", "2"}
			if token != "" {
				parameters = append(parameters, "nextToken", token)
			}
			var items []string
			items, token = pageOf(t, handler, path, parameters...)
			got = append(got, items...)
			if len(items) > 2 || len(items) < 2 && token != "" {
				t.Errorf("%s: a page of %d", path, len(items))
			}
			if token == "" || len(got) > len(want) {
				break
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: item %d is %s, want %s", path, i, got[i], want[i])
			}
		}
	}
	if items, token := pageOf(t, handler, "/custom-metrics"); len(items) != 6 || token != "" {
		t.Errorf("without maxResults: %v, token %q", items, token)
	}
}

// TestPagesWhileItemsGo deletes what the token was made from, and adds before
// and after it.
func TestPagesWhileItemsGo(t *testing.T) {
	c, ctx := newClient(t, serve(t, openService(t, Options{}))), t.Context()
	create := func(names ...string) {
		for _, name := range names {
			if _, err := c.CreateThing(ctx, &iot.CreateThingInput{ThingName: &name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	create("b", "d", "f", "h")
	pages := iot.NewListThingsPaginator(c, &iot.ListThingsInput{MaxResults: aws.Int32(2)})
	var got []string
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, thing := range out.Things {
			got = append(got, *thing.ThingName)
		}
		if len(got) == 2 {
			for _, name := range []string{"b", "d"} {
				if _, err := c.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: &name}); err != nil {
					t.Fatal(err)
				}
			}
			create("a", "e")
		}
	}
	if want := []string{"b", "d", "e", "f", "h"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
