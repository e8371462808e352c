package service

import (
	"net/http"
	"slices"
)

// operation is one operation of the AWS IoT API.
type operation struct {
	name   string
	method string
	path   string // a pattern of http.ServeMux
	handle func(*Service, *request) (any, error)

	query   []string // the query parameters that it has, beside those of paging
	page    int      // the largest maxResults; 0 when the operation has no pages
	initial int      // maxResults when it is absent; 0 is page
	tps     int      // calls per second in AWS's quotas, for Options.Throttle; 0 is no quota

	noBody       bool                                 // a POST, PUT or PATCH without one
	contentTypes []string                             // of bodies; nil is only JSON
	writeError   func(http.ResponseWriter, *apiError) // nil writes JSON
}

// hasBody reports whether requests have a body, which may be empty.
func (op *operation) hasBody() bool {
	return !op.noBody && op.method != http.MethodGet && op.method != http.MethodDelete
}

// allOperations returns the operations that the service has. Members of
// requests and answers are in the AWS IoT API reference; the package comment
// lists what is ours.
func allOperations() []operation {
	return slices.Concat(
		profileOperations, targetOperations, customMetricOperations, dimensionOperations,
		violationOperations, mitigationOperations,
		tagOperations, thingOperations, groupOperations, accountOperations,
	)
}

// The quotas of calls per second are those of the AWS General Reference. It
// has none for tags; those of the registry are far above what one machine's
// things ask for.

var profileOperations = []operation{
	{name: "CreateSecurityProfile", method: "POST", path: "/security-profiles/{securityProfileName}", handle: createSecurityProfile, tps: 10},
	{name: "DescribeSecurityProfile", method: "GET", path: "/security-profiles/{securityProfileName}", handle: describeSecurityProfile, tps: 25},
	{name: "UpdateSecurityProfile", method: "PATCH", path: "/security-profiles/{securityProfileName}", handle: updateSecurityProfile, tps: 10, query: []string{"expectedVersion"}},
	{name: "DeleteSecurityProfile", method: "DELETE", path: "/security-profiles/{securityProfileName}", handle: deleteSecurityProfile, tps: 10, query: []string{"expectedVersion"}},
	{name: "ListSecurityProfiles", method: "GET", path: "/security-profiles", handle: listSecurityProfiles, tps: 10, page: 250, query: []string{"dimensionName", "metricName"}},
	{name: "ValidateSecurityProfileBehaviors", method: "POST", path: "/security-profile-behaviors/validate", handle: validateSecurityProfileBehaviors, tps: 10},
}

var targetOperations = []operation{
	{name: "AttachSecurityProfile", method: "PUT", path: "/security-profiles/{securityProfileName}/targets", handle: attachSecurityProfile, noBody: true, tps: 10, query: []string{"securityProfileTargetArn"}},
	{name: "DetachSecurityProfile", method: "DELETE", path: "/security-profiles/{securityProfileName}/targets", handle: detachSecurityProfile, tps: 10, query: []string{"securityProfileTargetArn"}},
	{name: "ListTargetsForSecurityProfile", method: "GET", path: "/security-profiles/{securityProfileName}/targets", handle: listTargetsForSecurityProfile, tps: 10, page: 250},
	{name: "ListSecurityProfilesForTarget", method: "GET", path: "/security-profiles-for-target", handle: listSecurityProfilesForTarget, tps: 10, page: 250, query: []string{"securityProfileTargetArn", "recursive"}},
}

var customMetricOperations = []operation{
	{name: "CreateCustomMetric", method: "POST", path: "/custom-metric/{metricName}", handle: createCustomMetric, tps: 10},
	{name: "DescribeCustomMetric", method: "GET", path: "/custom-metric/{metricName}", handle: describeCustomMetric, tps: 25},
	{name: "UpdateCustomMetric", method: "PATCH", path: "/custom-metric/{metricName}", handle: updateCustomMetric, tps: 10},
	{name: "DeleteCustomMetric", method: "DELETE", path: "/custom-metric/{metricName}", handle: deleteCustomMetric, tps: 10},
	{name: "ListCustomMetrics", method: "GET", path: "/custom-metrics", handle: listCustomMetrics, tps: 10, page: 250, initial: 25},
}

var dimensionOperations = []operation{
	{name: "CreateDimension", method: "POST", path: "/dimensions/{name}", handle: createDimension, tps: 10},
	{name: "DescribeDimension", method: "GET", path: "/dimensions/{name}", handle: describeDimension, tps: 10},
	{name: "UpdateDimension", method: "PATCH", path: "/dimensions/{name}", handle: updateDimension, tps: 10},
	{name: "DeleteDimension", method: "DELETE", path: "/dimensions/{name}", handle: deleteDimension, tps: 10},
	{name: "ListDimensions", method: "GET", path: "/dimensions", handle: listDimensions, tps: 10, page: 250},
}

var tagOperations = []operation{
	{name: "ListTagsForResource", method: "GET", path: "/tags", handle: listTagsForResource, query: []string{"resourceArn", "nextToken"}},
	{name: "TagResource", method: "POST", path: "/tags", handle: tagResource},
	{name: "UntagResource", method: "POST", path: "/untag", handle: untagResource},
}

var thingOperations = []operation{
	{name: "CreateThing", method: "POST", path: "/things/{thingName}", handle: createThing},
	{name: "DescribeThing", method: "GET", path: "/things/{thingName}", handle: describeThing},
	{name: "UpdateThing", method: "PATCH", path: "/things/{thingName}", handle: updateThing},
	{name: "DeleteThing", method: "DELETE", path: "/things/{thingName}", handle: deleteThing, query: []string{"expectedVersion"}},
	{name: "ListThings", method: "GET", path: "/things", handle: listThings, page: 250, query: []string{"attributeName", "attributeValue", "thingTypeName", "usePrefixAttributeValue"}},
	{name: "ListThingGroupsForThing", method: "GET", path: "/things/{thingName}/thing-groups", handle: listThingGroupsForThing, page: 250},
}

var groupOperations = []operation{
	{name: "CreateThingGroup", method: "POST", path: "/thing-groups/{thingGroupName}", handle: createThingGroup},
	{name: "DescribeThingGroup", method: "GET", path: "/thing-groups/{thingGroupName}", handle: describeThingGroup},
	{name: "DeleteThingGroup", method: "DELETE", path: "/thing-groups/{thingGroupName}", handle: deleteThingGroup, query: []string{"expectedVersion"}},
	{name: "ListThingGroups", method: "GET", path: "/thing-groups", handle: listThingGroups, page: 250, query: []string{"parentGroup", "namePrefixFilter", "recursive"}},
	{name: "ListThingsInThingGroup", method: "GET", path: "/thing-groups/{thingGroupName}/things", handle: listThingsInThingGroup, page: 250, query: []string{"recursive"}},
	{name: "AddThingToThingGroup", method: "PUT", path: "/thing-groups/addThingToThingGroup", handle: addThingToThingGroup},
	{name: "RemoveThingFromThingGroup", method: "PUT", path: "/thing-groups/removeThingFromThingGroup", handle: removeThingFromThingGroup},
}

var accountOperations = []operation{
	{name: "DescribeEndpoint", method: "GET", path: "/endpoint", handle: describeEndpoint, query: []string{"endpointType"}},
	// AWS STS, so that clients which ask for the account's number find it here.
	{name: "GetCallerIdentity", method: "POST", path: "/{$}", handle: getCallerIdentity,
		contentTypes: []string{"application/x-www-form-urlencoded"}, writeError: writeSTSError},
}
