// Package service is a Detect-compatible service: it takes the metrics reports
// of things, evaluates security profiles over them (package detect), keeps
// what comes of it, and answers the AWS IoT API for it, so that the AWS CLI and
// SDKs work against it as they are.
//
// # Model
//
// One [Service] is one account in one region. Its state is one database
// (package store); [Service.Handler] is its API, [Service.Report] and
// [Service.Cloud] are what things do, and [Service.Run] is what happens with
// time. All of it is in the service's own time, [Options.Now].
//
// Every call that changes something is one transaction, which has everything
// that follows from it: the answer is sent when it is on disk. Readers see the
// database as it was when they began, and wait for nobody.
//
// # Evaluation
//
// Nothing of the fleet is in memory. What is known of a thing from one report to
// the next is one row: its last report, its state under the profiles (package
// detect), the values of the hour (package chunk). A report reads the row,
// and writes it with the values, events and alerts that follow.
//
// A thing has a lane, by its name. A lane is a goroutine that takes all reports,
// events in the cloud and jobs that wait into one transaction, so that the number
// of flushes to the disk does not grow with the number of things. Things that
// reported lately stay in the memory of their lane, within bounds.
//
// Profiles are compiled once for each version of the rules, which is a row of the
// database. A transaction that evaluates guards that row: no report that commits
// after a profile was changed is evaluated by what it was before. What crosses
// things has rows by lane, which are added up when they are read: histograms
// that statistical thresholds are taken from, and counters.
//
// What happens to a thing without a report is a job in a queue by time: a window
// of cloud-side metrics ends, a silent thing's alarm is invalidated, a thing is
// forgotten.
//
// # The database
//
// It is a folder, made by package store/pebble: a log, and sorted files. A
// process that is killed at any point, or a machine that loses power, has either
// all of a transaction or nothing of it, and has it once it was answered. The
// folder is of mode 0700 and locked: a second process that opens it is refused.
//
// Any number of transactions may run at once: what a decision depends on is
// guarded by a row. Every change of profiles, targets, custom metrics and
// dimensions counts on one row of the table meta, a thing says in its own which
// groups it is in and below, and what a transaction does outside of the store it
// does when that is committed.
//
// Values are kept for 14 days, events and violations for 30, mitigation tasks
// for 90; their days are dropped as a whole. Alerts are put into an outbox by
// the transaction of their event, and delivered at least once.
//
// The version of the data is in it: a database that a newer version has changed so
// that this one cannot work with it is refused. A backup is a copy of all rows at one
// moment, see package archive.
//
// The file of version 0.1, defender.db, is converted once, when it is opened, and
// kept as defender.db.v0.1.
//
// What time deletes or ends follows the clock. A clock that is set days ahead
// deletes nothing, unless the machine's uptime explains it: the highest time
// that was known is in the database.
//
// # Where things are
//
// Things and groups are registered here, by operations, by certificates, and by first reports of
// those who may ([Service.Enroll]); or, with [Options.Registry], elsewhere: the database is then a
// mirror of it. Operations that change things and groups are refused then, but for those that
// move things to groups and out of them, which are of the level Admin and are done there first.
// Mitigation does the same, beside the jobs, so that nothing waits for what answers slowly; what
// fails there is a failure of the execution.
//
// # Callers
//
// The API is served by package awsrest, whose comment says who is let in, and
// within which bounds. Every operation has an access level. Without authentication
// everybody is authorized for all, so that [Service.Serve] takes only loopback
// addresses. With [Options.Authentication], a call is signed with an access key
// (package sigv4), whose role has levels:
//
//	viewer    what is Public or Read
//	operator  these, and Write
//	ingest    what is Public, and Report
//	admin     all of them
//
// A signature is checked with the secret, so secrets are in the database as they
// are, in a folder of mode 0700. A call tells a secret only when it made it. There is
// always a key of the role admin: the first start makes one, and the last is not
// deleted. Access keys can't be changed while there is no authentication: anybody on
// the machine could make one for later.
//
// With authentication the pages are for visitors who are logged in: by an access key
// whose role has Read, or as a person for whom an OpenID provider vouches. The browser has a
// random token of 256 bits, the database its SHA-256. A session is over after an hour in
// which it was not used, after twelve hours, when the visitor logs out, and when the access
// key is no longer there, or the provider is configured in another way. Whether it is over is read
// from the database for each page, so other processes on the same database see it at
// once.
//
// Of an address (IPv6: a network of 64 bits) and an access key there may be 50
// wrong signatures at once, and one more every two seconds; beyond that, calls
// with it are answered with ThrottlingException (403) and not looked at. Other keys
// and addresses are not slowed.
//
// # Audit log
//
// Each call of an operation that changes something is a row: who (the access key;
// "loopback" without authentication), from which address, what with which parameters,
// when, and what was answered. The row of a change is written by the transaction of
// the change, so neither is there without the other. Calls that are refused are rows,
// too, those of reads only when the caller is not authorized: 60 at once and one more
// every ten seconds, by callers who are known and by others each; a row says how many
// before it were not kept. Parameters are cut to 1 KB, and values of members that are
// named like secrets are left out. Rows are kept for 90 days, and are dropped by the
// day. Reports of devices and what the service does by itself are no rows.
//
// # Operations
//
// Those of AWS IoT, with its paths, members, patterns, ranges, quotas, errors
// and pages. Access levels are those of AWS's Service Authorization Reference, but
// for reports, and for mitigation, which acts on devices. Those of access keys and of
// the audit log are for administrators:
//
//	security profiles   CreateSecurityProfile, DescribeSecurityProfile,
//	                    UpdateSecurityProfile, DeleteSecurityProfile,
//	                    ListSecurityProfiles, ValidateSecurityProfileBehaviors
//	targets             AttachSecurityProfile, DetachSecurityProfile,
//	                    ListTargetsForSecurityProfile,
//	                    ListSecurityProfilesForTarget
//	custom metrics      CreateCustomMetric, DescribeCustomMetric,
//	                    UpdateCustomMetric, DeleteCustomMetric,
//	                    ListCustomMetrics
//	dimensions          CreateDimension, DescribeDimension, UpdateDimension,
//	                    DeleteDimension, ListDimensions
//	violations          ListActiveViolations, ListViolationEvents,
//	                    PutVerificationStateOnViolation
//	values and models   ListMetricValues, GetBehaviorModelTrainingSummaries
//	mitigation actions  CreateMitigationAction, DescribeMitigationAction,
//	                    UpdateMitigationAction, DeleteMitigationAction,
//	                    ListMitigationActions
//	mitigation tasks    StartDetectMitigationActionsTask,
//	                    DescribeDetectMitigationActionsTask,
//	                    CancelDetectMitigationActionsTask,
//	                    ListDetectMitigationActionsTasks,
//	                    ListDetectMitigationActionsExecutions
//	tags                ListTagsForResource, TagResource, UntagResource
//	things              CreateThing, DescribeThing, UpdateThing, DeleteThing,
//	                    ListThings, ListThingGroupsForThing
//	thing groups        CreateThingGroup, DescribeThingGroup, UpdateThingGroup,
//	                    DeleteThingGroup, ListThingGroups,
//	                    ListThingsInThingGroup, AddThingToThingGroup,
//	                    RemoveThingFromThingGroup, UpdateThingGroupsForThing
//	data plane          Publish, for reports
//	account             DescribeEndpoint, and of AWS STS GetCallerIdentity
//	ours                report: POST /things/NAME/defender/metrics/json or cbor;
//	                    RegisterThingCertificate, ListThingCertificates,
//	                    DeleteThingCertificate: /things/NAME/certificates;
//	                    DescribeThingState: GET /things/NAME/state
//	access keys, ours   CreateAccessKey: POST /access-keys/NAME {"role": "viewer"},
//	                    RotateAccessKey: POST /access-keys/NAME/rotate,
//	                    DeleteAccessKey: DELETE /access-keys/NAME,
//	                    ListAccessKeys: GET /access-keys
//	audit log, ours     ListAuditEvents: GET /audit?userName=&operationName=
//	metrics, ours       Metrics: GET /metrics, for Prometheus
//	backup, ours        Backup: GET /backup, without access keys unless callers
//	                    are authenticated
//	alerts, ours        TestAlertChannel: POST /alert-channels/NAME/test
//
// GET /healthz and /readyz answer anybody whether the service is there, and
// whether its database can be read.
//
// Any other is answered with UnknownOperationException (404, or 405 when the
// path has other methods), which AWS's clients show with its message. There
// are no thing types, billing groups or dynamic thing groups: naming one is
// ResourceNotFoundException or InvalidRequestException, as of any that isn't
// there.
//
// # What AWS leaves undocumented
//
// Decided here, and not verified against AWS:
//
//   - Members and query parameters that an operation doesn't have are refused,
//     not ignored: a typing error in one would be without effect, unnoticed. So
//     is a body of an operation that has none.
//   - The message of an error is AWS's where one is documented, and else names
//     the member by its path, what it is, and what would be right.
//   - A profile is deleted with its targets, a thing group with its members and
//     the profiles attached to it; a group with child groups isn't deleted.
//   - UpdateSecurityProfile keeps additionalMetricsToRetain and its V2 apart,
//     and deleteAdditionalMetricsToRetain deletes both. Moving from one to
//     the other takes two updates.
//   - UpdateThingGroup leaves what is absent as it is. UpdateThingGroupsForThing does
//     all or nothing, and takes the thing out of groups before it puts it into others; a
//     group that is in both lists is an InvalidRequestException.
//   - Every UpdateSecurityProfile makes a new version, also one that changes
//     nothing; an empty list counts as absent.
//   - Metrics and dimensions that a profile names have to be registered when it
//     is created or updated.
//   - A clientRequestToken that made one custom metric or dimension makes no
//     other, and repeats the answer when the call is the same.
//   - recursive in ListSecurityProfilesForTarget adds what is attached to the
//     thing groups below the target.
//   - maxResults that is absent is 25 where the reference says so, else the most
//     that there can be.
//   - A nextToken does not expire, for the same operation and filters; items are
//     in the order of their keys, so that none is left out or twice when
//     others are created or deleted between pages.
//   - A body of more than 1 MB is RequestEntityTooLargeException (413), one of
//     another type UnsupportedMediaTypeException (415), a page of another
//     origin AccessDeniedException (403).
//   - Reports are in the order in which they come, by the service's time. A
//     smaller report_id is of a device that has restarted; the last one once
//     more has the answer that it had, and counts as nothing, unless its
//     content is another and it isn't too soon; one above 2^53-1 is not
//     remembered. A report that comes before nine tenths of the minimum
//     interval are over is Throttled, and not evaluated.
//   - A report with a time observed by a trusted source is judged by that time. One
//     that was observed before the last that was evaluated is accepted, and counts as
//     nothing.
//   - Publish answers a report that is rejected as one that is accepted; a message on
//     another topic is dropped.
//   - While the clock is behind a thing's last report by up to that interval,
//     having been set back, the thing's time goes on by it with each report. A
//     clock that goes back farther was wrong before, and the thing's time is
//     set to it.
//   - DeleteThing forgets the thing's certificates, what it reported, its values and its state, and
//     invalidates its alarms; the events stay. It does so for things that are
//     not registered, too.
//   - Events and values are listed from the latest to the earliest, both ends of
//     the range included. Without listSuppressedAlerts all are listed; true
//     asks for those of suppressed behaviors, false for the others.
//   - A list that is shorter than the total that was reported with it has a
//     member cut in ListMetricValues, {"listed": 250, "total": 1240}, beside its
//     value. Clients that do not know it pass over it.
//   - Things that are not registered report within bounds, see [Options]; what is
//     beyond them is Throttled.
//   - Answers have a header X-Defender-Without, which lists what of profiles is
//     kept and without effect: metric-export, ml-detect, and cloud-side-metrics
//     where nobody calls [Service.Cloud].
//   - What targets and flags of a mitigation task name has to be true of a
//     violation at once. One that is named by its id need not be named by
//     includeSuppressedAlerts. A task of which an action failed has FAILED; one
//     that is canceled has skipped the rest. A thing that is in the group
//     already is a success; an action that Detect has no use for is SKIPPED.
//   - Models are never built: ML behaviors are PENDING_BUILD, with the percentage
//     of 25,000 datapoints that came in the last 14 calendar days.
//   - TestAlertChannel answers with what the receiver of a channel said, also when it
//     did not take the test.
//   - Alerts go to SNS topics with the credentials of this process, if the topic is
//     one of [Options].Topics; any other is InvalidRequestException. The role of
//     an alert target is kept and not assumed. Delivery is tried for three
//     days, with pauses of up to five minutes; only alerts of one violation wait
//     for each other. One that a webhook answers with 400, 410, 413, 415 or
//     422, or SNS with InvalidParameter, is dropped at once.
//   - A cloud event is on disk a second after it happened: a process that is
//     killed loses the counts of that second, and nothing else.
//
// What concerns evaluation is in package detect.
package service
