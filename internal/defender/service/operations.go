package service

import "github.com/device-defender/device-defender/internal/defender/awsrest"

// operations returns the operations that the service has. Members of requests and
// answers are in the AWS IoT API reference; the package comment lists what is ours.
//
// The quotas of calls per second are those of the AWS General Reference. It
// has none for tags; those of the registry are far above what one machine's
// things ask for.
func (s *Service) operations() []awsrest.Operation {
	return []awsrest.Operation{
		{Name: "CreateSecurityProfile", Method: "POST", Path: "/security-profiles/{securityProfileName}", Access: awsrest.Write, Handle: s.createSecurityProfile, TPS: 10},
		{Name: "DescribeSecurityProfile", Method: "GET", Path: "/security-profiles/{securityProfileName}", Access: awsrest.Read, Handle: s.describeSecurityProfile, TPS: 25},
		{Name: "UpdateSecurityProfile", Method: "PATCH", Path: "/security-profiles/{securityProfileName}", Access: awsrest.Write, Handle: s.updateSecurityProfile, TPS: 10, Query: []string{"expectedVersion"}},
		{Name: "DeleteSecurityProfile", Method: "DELETE", Path: "/security-profiles/{securityProfileName}", Access: awsrest.Write, Handle: s.deleteSecurityProfile, TPS: 10, Query: []string{"expectedVersion"}},
		{Name: "ListSecurityProfiles", Method: "GET", Path: "/security-profiles", Access: awsrest.Read, Handle: s.listSecurityProfiles, TPS: 10, MaxResults: 250, Query: []string{"dimensionName", "metricName"}},
		{Name: "ValidateSecurityProfileBehaviors", Method: "POST", Path: "/security-profile-behaviors/validate", Access: awsrest.Read, Handle: s.validateSecurityProfileBehaviors, TPS: 10},

		{Name: "AttachSecurityProfile", Method: "PUT", Path: "/security-profiles/{securityProfileName}/targets", Access: awsrest.Write, Handle: s.attachSecurityProfile, NoBody: true, TPS: 10, Query: []string{"securityProfileTargetArn"}},
		{Name: "DetachSecurityProfile", Method: "DELETE", Path: "/security-profiles/{securityProfileName}/targets", Access: awsrest.Write, Handle: s.detachSecurityProfile, TPS: 10, Query: []string{"securityProfileTargetArn"}},
		{Name: "ListTargetsForSecurityProfile", Method: "GET", Path: "/security-profiles/{securityProfileName}/targets", Access: awsrest.Read, Handle: s.listTargetsForSecurityProfile, TPS: 10, MaxResults: 250},
		{Name: "ListSecurityProfilesForTarget", Method: "GET", Path: "/security-profiles-for-target", Access: awsrest.Read, Handle: s.listSecurityProfilesForTarget, TPS: 10, MaxResults: 250, Query: []string{"securityProfileTargetArn", "recursive"}},

		{Name: "CreateCustomMetric", Method: "POST", Path: "/custom-metric/{metricName}", Access: awsrest.Write, Handle: s.createCustomMetric, TPS: 10},
		{Name: "DescribeCustomMetric", Method: "GET", Path: "/custom-metric/{metricName}", Access: awsrest.Read, Handle: s.describeCustomMetric, TPS: 25},
		{Name: "UpdateCustomMetric", Method: "PATCH", Path: "/custom-metric/{metricName}", Access: awsrest.Write, Handle: s.updateCustomMetric, TPS: 10},
		{Name: "DeleteCustomMetric", Method: "DELETE", Path: "/custom-metric/{metricName}", Access: awsrest.Write, Handle: s.deleteCustomMetric, TPS: 10},
		{Name: "ListCustomMetrics", Method: "GET", Path: "/custom-metrics", Access: awsrest.Read, Handle: s.listCustomMetrics, TPS: 10, MaxResults: 250, DefaultResults: 25},

		{Name: "CreateDimension", Method: "POST", Path: "/dimensions/{name}", Access: awsrest.Write, Handle: s.createDimension, TPS: 10},
		{Name: "DescribeDimension", Method: "GET", Path: "/dimensions/{name}", Access: awsrest.Read, Handle: s.describeDimension, TPS: 10},
		{Name: "UpdateDimension", Method: "PATCH", Path: "/dimensions/{name}", Access: awsrest.Write, Handle: s.updateDimension, TPS: 10},
		{Name: "DeleteDimension", Method: "DELETE", Path: "/dimensions/{name}", Access: awsrest.Write, Handle: s.deleteDimension, TPS: 10},
		{Name: "ListDimensions", Method: "GET", Path: "/dimensions", Access: awsrest.Read, Handle: s.listDimensions, TPS: 10, MaxResults: 250},

		{Name: "ListActiveViolations", Method: "GET", Path: "/active-violations", Access: awsrest.Read, Handle: s.listActiveViolations, TPS: 10, MaxResults: 250, Query: violationQuery},
		{Name: "ListViolationEvents", Method: "GET", Path: "/violation-events", Access: awsrest.Read, Handle: s.listViolationEvents, TPS: 10, MaxResults: 250, Query: append([]string{"startTime", "endTime"}, violationQuery...)},
		{Name: "PutVerificationStateOnViolation", Method: "POST", Path: "/violations/verification-state/{violationId}", Access: awsrest.Write, Handle: s.putVerificationStateOnViolation, TPS: 10},
		{Name: "ListMetricValues", Method: "GET", Path: "/metric-values", Access: awsrest.Read, Handle: s.listMetricValues, TPS: 15, MaxResults: 250, Query: []string{"thingName", "metricName", "dimensionName", "dimensionValueOperator", "startTime", "endTime"}},
		{Name: "GetBehaviorModelTrainingSummaries", Method: "GET", Path: "/behavior-model-training/summaries", Access: awsrest.Read, Handle: s.getBehaviorModelTrainingSummaries, TPS: 10, MaxResults: 10, Query: []string{"securityProfileName"}},
		// Ours, not AWS's: reports for tests and from gateways, over HTTP.
		{Name: "report", Method: "POST", Path: "/things/{thing}/defender/metrics/{format}", Access: awsrest.Report, Handle: s.postReport, ContentTypes: []string{"application/json", "application/cbor"}},
		// AWS IoT's data plane: reports of code that uses an AWS SDK.
		{Name: "Publish", Method: "POST", Path: "/topics/{topic...}", Access: awsrest.Report, Handle: s.publish, ContentTypes: awsrest.AnyType,
			Query: []string{"qos", "retain", "contentType", "responseTopic", "messageExpiry"}},

		{Name: "CreateMitigationAction", Method: "POST", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Admin, Handle: s.createMitigationAction, TPS: 10},
		{Name: "DescribeMitigationAction", Method: "GET", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Read, Handle: s.describeMitigationAction, TPS: 25},
		{Name: "UpdateMitigationAction", Method: "PATCH", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Admin, Handle: s.updateMitigationAction, TPS: 10},
		{Name: "DeleteMitigationAction", Method: "DELETE", Path: "/mitigationactions/actions/{actionName}", Access: awsrest.Admin, Handle: s.deleteMitigationAction, TPS: 10},
		{Name: "ListMitigationActions", Method: "GET", Path: "/mitigationactions/actions", Access: awsrest.Read, Handle: s.listMitigationActions, TPS: 10, MaxResults: 250, DefaultResults: 25, Query: []string{"actionType"}},
		{Name: "StartDetectMitigationActionsTask", Method: "PUT", Path: "/detect/mitigationactions/tasks/{taskId}", Access: awsrest.Admin, Handle: s.startDetectMitigationActionsTask, TPS: 10},
		{Name: "DescribeDetectMitigationActionsTask", Method: "GET", Path: "/detect/mitigationactions/tasks/{taskId}", Access: awsrest.Read, Handle: s.describeDetectMitigationActionsTask, TPS: 10},
		{Name: "CancelDetectMitigationActionsTask", Method: "PUT", Path: "/detect/mitigationactions/tasks/{taskId}/cancel", Access: awsrest.Admin, Handle: s.cancelDetectMitigationActionsTask, NoBody: true, TPS: 10},
		{Name: "ListDetectMitigationActionsTasks", Method: "GET", Path: "/detect/mitigationactions/tasks", Access: awsrest.Read, Handle: s.listDetectMitigationActionsTasks, TPS: 10, MaxResults: 250, DefaultResults: 25, Query: []string{"startTime", "endTime"}},
		{Name: "ListDetectMitigationActionsExecutions", Method: "GET", Path: "/detect/mitigationactions/executions", Access: awsrest.Read, Handle: s.listDetectMitigationActionsExecutions, TPS: 10, MaxResults: 250, DefaultResults: 25, Query: []string{"taskId", "violationId", "thingName", "startTime", "endTime"}},

		{Name: "ListTagsForResource", Method: "GET", Path: "/tags", Access: awsrest.Read, Handle: s.listTagsForResource, Query: []string{"resourceArn", "nextToken"}},
		{Name: "TagResource", Method: "POST", Path: "/tags", Access: awsrest.Write, Handle: s.tagResource},
		{Name: "UntagResource", Method: "POST", Path: "/untag", Access: awsrest.Write, Handle: s.untagResource},

		{Name: "CreateThing", Method: "POST", Path: "/things/{thingName}", Access: awsrest.Write, Handle: s.local(s.createThing)},
		{Name: "DescribeThing", Method: "GET", Path: "/things/{thingName}", Access: awsrest.Read, Handle: s.describeThing},
		{Name: "UpdateThing", Method: "PATCH", Path: "/things/{thingName}", Access: awsrest.Write, Handle: s.local(s.updateThing)},
		{Name: "DeleteThing", Method: "DELETE", Path: "/things/{thingName}", Access: awsrest.Write, Handle: s.local(s.deleteThing), Query: []string{"expectedVersion"}},
		{Name: "ListThings", Method: "GET", Path: "/things", Access: awsrest.Read, Handle: s.listThings, MaxResults: 250, Query: []string{"attributeName", "attributeValue", "thingTypeName", "usePrefixAttributeValue"}},
		{Name: "ListThingGroupsForThing", Method: "GET", Path: "/things/{thingName}/thing-groups", Access: awsrest.Read, Handle: s.listThingGroupsForThing, MaxResults: 250},
		// Ours: when a thing reported, and by which certificates it is known to MQTT.
		{Name: "DescribeThingState", Method: "GET", Path: "/things/{thingName}/state", Access: awsrest.Read, Handle: s.describeThingState},
		{Name: "RegisterThingCertificate", Method: "POST", Path: "/things/{thingName}/certificates", Access: awsrest.Write, Handle: s.registerThingCertificate},
		{Name: "ListThingCertificates", Method: "GET", Path: "/things/{thingName}/certificates", Access: awsrest.Read, Handle: s.listThingCertificates, MaxResults: 250},
		{Name: "DeleteThingCertificate", Method: "DELETE", Path: "/things/{thingName}/certificates/{certificateId}", Access: awsrest.Write, Handle: s.deleteThingCertificate},

		{Name: "CreateThingGroup", Method: "POST", Path: "/thing-groups/{thingGroupName}", Access: awsrest.Write, Handle: s.local(s.createThingGroup)},
		{Name: "DescribeThingGroup", Method: "GET", Path: "/thing-groups/{thingGroupName}", Access: awsrest.Read, Handle: s.describeThingGroup},
		{Name: "UpdateThingGroup", Method: "PATCH", Path: "/thing-groups/{thingGroupName}", Access: awsrest.Write, Handle: s.local(s.updateThingGroup)},
		{Name: "DeleteThingGroup", Method: "DELETE", Path: "/thing-groups/{thingGroupName}", Access: awsrest.Write, Handle: s.local(s.deleteThingGroup), Query: []string{"expectedVersion"}},
		{Name: "ListThingGroups", Method: "GET", Path: "/thing-groups", Access: awsrest.Read, Handle: s.listThingGroups, MaxResults: 250, Query: []string{"parentGroup", "namePrefixFilter", "recursive"}},
		{Name: "ListThingsInThingGroup", Method: "GET", Path: "/thing-groups/{thingGroupName}/things", Access: awsrest.Read, Handle: s.listThingsInThingGroup, MaxResults: 250, Query: []string{"recursive"}},
		{Name: "AddThingToThingGroup", Method: "PUT", Path: "/thing-groups/addThingToThingGroup", Access: s.moving(), Handle: s.addThingToThingGroup},
		{Name: "RemoveThingFromThingGroup", Method: "PUT", Path: "/thing-groups/removeThingFromThingGroup", Access: s.moving(), Handle: s.removeThingFromThingGroup},
		{Name: "UpdateThingGroupsForThing", Method: "PUT", Path: "/thing-groups/updateThingGroupsForThing", Access: s.moving(), Handle: s.updateThingGroupsForThing},

		// Ours, too: the access keys that callers sign with.
		{Name: "CreateAccessKey", Method: "POST", Path: "/access-keys/{accessKeyName}", Access: awsrest.Admin, Handle: s.createAccessKey},
		{Name: "RotateAccessKey", Method: "POST", Path: "/access-keys/{accessKeyName}/rotate", Access: awsrest.Admin, Handle: s.rotateAccessKey, NoBody: true},
		{Name: "DeleteAccessKey", Method: "DELETE", Path: "/access-keys/{accessKeyName}", Access: awsrest.Admin, Handle: s.deleteAccessKey},
		{Name: "ListAccessKeys", Method: "GET", Path: "/access-keys", Access: awsrest.Admin, Handle: s.listAccessKeys, MaxResults: 250},
		// Ours: figures for Prometheus, and a copy of everything, for 'defenderctl restore'.
		{Name: metricsOperation, Method: "GET", Path: "/metrics", Access: awsrest.Read, Handle: s.metrics},
		{Name: "Backup", Method: "GET", Path: "/backup", Access: awsrest.Admin, Handle: s.backup},

		// Ours: who changed what.
		{Name: "ListAuditEvents", Method: "GET", Path: "/audit", Access: awsrest.Admin, Handle: s.listAuditEvents, MaxResults: 250, Query: []string{"startTime", "endTime", "userName", "operationName"}},

		// Where alerts are sent besides is configured; whether they arrive can be tried.
		{Name: "TestAlertChannel", Method: "POST", Path: "/alert-channels/{channelName}/test", Access: awsrest.Admin, Handle: s.testAlertChannel, NoBody: true},

		{Name: "DescribeEndpoint", Method: "GET", Path: "/endpoint", Access: awsrest.Public, Handle: s.describeEndpoint, Query: []string{"endpointType"}},
		// AWS STS, so that clients which ask for the account's number find it here.
		{Name: "GetCallerIdentity", Method: "POST", Path: "/{$}", Access: awsrest.Public, Handle: s.getCallerIdentity,
			ContentTypes: []string{"application/x-www-form-urlencoded"}, Error: stsError},
	}
}
