package profilefile

import (
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// lintRules are the rules of Lint, in the order in which a behavior's problems
// at one place are told.
var lintRules = []lintRule{
	{Rule: Rule{
		Name: "inverted-operator", Severity: profile.Warning,
		Summary: "The operator says what to alarm on instead of what is normal.",
		Explanation: `A behavior states what is normal, and the alarm comes when it is not met. So "greater-than p99.99" of packets out
says that it is normal to send more than practically all others do, and nearly every measurement is an alarm; the widely copied tutorial
profile has it so. Meant is "less-than-equals". The same goes for a fixed value: of traffic, messages, ports, connections and failures it is
rarely normal to have more than a certain number. A floor of one, as in "at least 1 message sent", is taken as meant. Custom metrics with a fixed
value are not looked at: a battery is well above 75.`,
	}, behavior: invertedOperator},
	{Rule: Rule{
		Name: "always-violated", Severity: profile.Warning,
		Summary: "No measurement can be normal.",
		Explanation: `What the behavior holds for normal cannot be: a count of less than 0, an address outside of all addresses, or no
destination at all though the report itself travels over a connection. Every measurement is a violation.`,
	}, behavior: alwaysViolated},
	{Rule: Rule{
		Name: "always-met", Severity: profile.Warning,
		Summary: "Every measurement is normal.",
		Explanation: `What the behavior holds for normal always is: a count of 0 or more, an address in all of IPv4 and IPv6, or a list outside
of an empty set. It never alarms. To keep a metric's values without a behavior, list it in additionalMetricsToRetainV2.`,
	}, behavior: alwaysMet},
	{Rule: Rule{
		Name: "percentile-few-things", Severity: profile.Warning, Needs: ThingsFact,
		Summary: "There are too few things for the percentile.",
		Explanation: `A statistical threshold is a percentile of what all reporting things of the profile measured over the duration. A percentile
beyond the last thing is just the greatest (or least) of their measurements: p99.99 takes 10,000 things to be anything else, p99 takes 100,
p90 takes 10. With one thing there is nobody to compare with. Take a fixed value, or a percentile that fits the size of the fleet.`,
	}, behavior: percentileFewThings},
	{Rule: Rule{
		Name: "percentile-negative", Severity: profile.Warning,
		Summary: "Percentiles of a custom metric need values that are never negative.",
		Explanation: `Detect has percentiles of a custom metric of type number, but not for values that can be negative, as of a temperature or a
balance. Nothing in the metric's registration says which it is. If it never is negative, silence this rule.`,
	}, behavior: percentileNegative},
	{Rule: Rule{
		Name: "single-datapoint", Severity: profile.Warning,
		Summary: "One datapoint above a high percentile of traffic is noise.",
		Explanation: `Traffic comes in bursts, and by definition some measurement of a fleet is above its 99th percentile in each period: with
one datapoint to alarm, each such burst is an alarm. With consecutiveDatapointsToAlarm of 2 or more it must last. One datapoint is also what
holds when consecutiveDatapointsToAlarm is absent.`,
	}, behavior: singleDatapoint},
	{Rule: Rule{
		Name: "no-duration", Severity: profile.Warning,
		Summary: "A count is compared without saying of how much time.",
		Explanation: `Bytes, packets, messages, failures and the like are counted over time. Without durationSeconds the threshold is for whatever
time passes between two reports, and changes its meaning with the agent's interval. AWS documents these metrics, and the numbers of listening
ports, with a durationSeconds only, and may refuse a behavior without. Connections and message sizes need none.`,
	}, behavior: noDuration},
	{Rule: Rule{
		Name: "duration-below-interval", Severity: profile.Warning, Needs: IntervalFact,
		Summary: "The duration is shorter than the time between two reports.",
		Explanation: `Measurements are accumulated over durationSeconds. When reports come less often than that, most periods have no data, and
what a report counted belongs to a longer time than the threshold is for. Take a duration that is not shorter than the agent's interval
(SampleIntervalSeconds), or a shorter interval; Detect takes one report every 300 seconds.`,
	}, behavior: durationBelowInterval},
	{Rule: Rule{
		Name: "local-addresses", Severity: profile.Warning,
		Summary: "The addresses that are allowed leave out the device itself.",
		Explanation: `The agent reports all TCP connections of the device, those over loopback among them: a Greengrass core nearly always has some.
A list of allowed destinations without 127.0.0.0/8 and ::1/128 alarms on them, and one without any private network on the first connection
in the device's own network.`,
	}, behavior: localAddresses},
	{Rule: Rule{
		Name: "host-bits", Severity: profile.Warning,
		Summary: "An address range has bits beyond its prefix.",
		Explanation: `10.1.2.3/8 is the range of all addresses that begin with 10. Either the address alone was meant, 10.1.2.3/32, or the range,
10.0.0.0/8. The notation with host bits reads as the one and works as the other.`,
	}, behavior: hostBits},
	{Rule: Rule{
		Name: "redundant-element", Severity: profile.Warning,
		Summary: "An element of the value is there twice, or inside another.",
		Explanation: `The same port, text or number is listed twice, or a range of addresses lies inside another one of the list. It changes nothing,
counts towards the 1,000 elements of a profile, and is often the trace of a mistake: one that was meant to be another.`,
	}, behavior: redundantElement},
	{Rule: Rule{
		Name: "sample-violates", Severity: profile.Warning, Needs: SampleFact,
		Summary: "What a thing reports already is not normal by the behavior.",
		Explanation: `The sample report breaks the behavior: a port that its own services listen on is not allowed, it has a connection to an
address that is not, or a count above the limit. The thing is in alarm from its first report on. Reports are those of
'device-defender print'; traffic and other counts over time are not compared, as the time that a single report stands for is not known.`,
	}, behavior: sampleViolates},
	{Rule: Rule{
		Name: "unreported-metric", Severity: profile.Warning, Needs: SampleFact,
		Summary: "No sample report has the metric.",
		Explanation: `A metric that is measured on the device, or a custom metric, is in none of the sample reports, or is there with another type
than it's registered with, in which case Detect keeps no value of it and says nothing. A behavior on it never alarms. Turn the metric on in
the agent's configuration, or take a report of a thing that has it.`,
	}, profile: unreportedMetric},
	{Rule: Rule{
		Name: "misspelt-metric", Severity: profile.Warning,
		Summary: "A custom metric or dimension is named nearly as one that exists.",
		Explanation: `Names that are not in the files are taken to be registered already. This one differs by a letter or two from one that is in
the files, or is that of an AWS metric without its "aws:".`,
	}, profile: misspeltMetric},
	{Rule: Rule{
		Name: "set-without-count", Severity: profile.Warning,
		Summary: "A list is compared with a set, and no behavior limits its length.",
		Explanation: `Agents list a bounded number of connections and ports: this one 250 (MaxListItems), and fewer on nucleus lite. Whoever opens
more than that, which needs no root, can keep one out of some reports. The totals are always true, so a behavior on the number, with
"less-than-equals" and a limit that is at most the length of the list, alarms before anything is left out: for aws:destination-ip-addresses
on aws:num-established-tcp-connections, for aws:listening-tcp-ports on aws:num-listening-tcp-ports, for aws:listening-udp-ports on
aws:num-listening-udp-ports. If another profile of the same things has it, silence this rule.`,
	}, profile: setWithoutCount},
	{Rule: Rule{
		Name: "missing-context", Severity: profile.Warning,
		Summary: "The metric that would explain an alarm is not kept.",
		Explanation: `When traffic or connections alarm, the question is who was at the other end (aws:destination-ip-addresses); when a number of
ports does, which ports; when authorization or connection attempts do, from where (aws:source-ip-address). Values are kept of metrics that a
behavior uses or that additionalMetricsToRetainV2 lists, and they must be kept beforehand: afterwards they cannot be had.`,
	}, profile: missingContext},
	{Rule: Rule{
		Name: "deprecated-retain-list", Severity: profile.Warning,
		Summary: "additionalMetricsToRetain is deprecated.",
		Explanation: `AWS deprecates additionalMetricsToRetain, a list of names, in favour of additionalMetricsToRetainV2, a list of
{"metric": NAME}, which can also name a dimension and be exported.`,
	}, profile: deprecatedRetainList},
	{Rule: Rule{
		Name: "retained-twice", Severity: profile.Warning,
		Summary: "A metric is listed twice to be retained.",
		Explanation: `The same metric, with the same dimension, is listed more than once in additionalMetricsToRetain and
additionalMetricsToRetainV2. Once is enough.`,
	}, profile: retainedTwice},
	{Rule: Rule{
		Name: "same-behavior", Severity: profile.Warning,
		Summary: "Two behaviors say the same.",
		Explanation: `Two behaviors of the profile have the same metric, dimension and criteria under different names: every alarm comes twice.
Often one is a copy that was meant to be changed.`,
	}, profile: sameBehavior},
	{Rule: Rule{
		Name: "ml-few-datapoints", Severity: profile.Warning, Needs: ThingsFact,
		Summary: "There are too few things for ML Detect to train a model.",
		Explanation: `ML Detect needs 14 days and at least 25,000 datapoints of a metric in the last 14 days: 7 things that report every 5 minutes,
40 at 30 minutes. When there are fewer it tries again every day for 30 days, and then the model expires.`,
	}, behavior: mlFewDatapoints},
	{Rule: Rule{
		Name: "suppressed", Severity: profile.Warning,
		Summary: "The behavior's alarms are sent to nobody.",
		Explanation: `With suppressAlerts the behavior is evaluated and its violations are listed by the API and the console, but no alert is sent.
That is right where something reads them there, and otherwise nobody sees them.`,
	}, behavior: suppressed},
	{Rule: Rule{
		Name: "no-alert-target", Severity: profile.Warning,
		Summary: "The profile has no alert target.",
		Explanation: `Without alertTargets, alarms are in the console and in the API only, and somebody has to look. An alert target is an SNS topic
and a role that may publish to it; 'defenderctl alert setup' makes both. A profile file that is for any account cannot name them: silence the
rule there.`,
	}, profile: noAlertTarget},
	{Rule: Rule{
		Name: "unused-export", Severity: profile.Warning,
		Summary: "metricsExportConfig is given, but no metric is exported.",
		Explanation: `metricsExportConfig says where exported metrics are published to; which are, exportMetric says, of each behavior and each
retained metric. None has it, so nothing is published.`,
	}, profile: unusedExport},
	{Rule: Rule{
		Name: "empty-profile", Severity: profile.Warning,
		Summary:     "The profile has neither behaviors nor metrics to retain.",
		Explanation: `A profile without behaviors is allowed: metrics are then only retained. This one retains none either, and does nothing.`,
	}, profile: emptyProfile},
	{Rule: Rule{
		Name: "not-for-detect", Severity: profile.Warning,
		Summary: "Detect does not take the mitigation action.",
		Explanation: `Detect's mitigation actions add things to thing groups. All other types, as deactivating certificates or publishing a finding,
are for Audit: AWS creates the action, but Detect has no use for it.`,
	}, action: notForDetect},
	{Rule: Rule{
		Name: "unused-ignore", Severity: profile.Warning,
		Summary: "lint.ignore silences a rule that is not broken.",
		Explanation: `An entry of the profile's lint.ignore has nothing to silence. Left in place it would hide the next mistake. Entries for rules
that were not applied, because there is no --things, --interval or --report, are not reported.`,
	}},
	{Rule: Rule{
		Name: "lint-ignore", Severity: profile.Error,
		Summary: "lint.ignore names rules and behaviors that exist.",
		Explanation: `Each entry of a profile's lint.ignore has a rule, which is the name of a warning, and may have a behavior, which is one of
the profile's, and a reason. Errors cannot be ignored.`,
	}},
}

// checkExplanations say more of the rules that Parse, Validate and Check apply.
var checkExplanations = map[string]string{
	"syntax": `The file cannot be read as JSON, or as YAML when its name ends in .yaml or .yml. A key that is there twice is an error too: which
of the two holds depends on the reader. Files have 1 MB at most.`,
	"unknown-document": `Which kind of document it is, its keys tell: securityProfileName, metricName of a custom metric, name with stringValues of
a dimension, actionName of a mitigation action. A file may hold a list of documents, a YAML file several with --- between. A list of
behaviors, as --behaviors of the AWS CLI takes it, needs the profile around it. Templates of CloudFormation and configurations of Terraform are
no documents: their keys are spelt otherwise, and they may refer to what is not in them.`,
	"unknown-key": `AWS refuses a key that it doesn't know, or ignores it, and then a behavior silently lacks what the key was for. Case counts.
The developer guide's own example has "dimensionName:" with a stray colon.`,
	"wrong-type": `A value is not of the type that AWS's API has for the key, such as text "300" where a number belongs. In YAML, quotes make text of
a number and of yes and no.`,
	"required": `AWS refuses the document without this key.`,
	"name": `Names of profiles, behaviors, metrics and dimensions match [a-zA-Z0-9:_-]{1,128}. Spaces are not allowed, though most
examples of the documentation have them.`,
	"duplicate-name": `A name tells things apart: behaviors within a profile, documents of one kind within the account. What AWS does with
two behaviors of one name it does not say.`,
	"text": `Descriptions have 1,000 characters at most and display names 128, of printable ASCII in one line.`,
	"quota": `AWS's quotas: 100 behaviors in a profile, 1,000 elements (ports, address ranges, numbers) in all of its values, 5 profiles on a
target, 100 custom metrics and 10 dimensions in an account. Most cannot be raised. Join address ranges, or take not-in-port-set with the ports
that must not be open.`,
	"unknown-metric": `A metric that begins with aws: is one of the 18 of the developer guide; aws:destination-ip-addresses is plural, though the
guide's own example is not. Any other name is that of a custom metric, which has to be registered before.`,
	"unknown-dimension": `The behavior is narrowed by a dimension that is not registered.`,
	"operator": `Counts and numbers are compared by less-than, less-than-equals, greater-than and greater-than-equals; addresses by in-cidr-set and
not-in-cidr-set; ports by in-port-set and not-in-port-set; custom lists of texts and numbers by in-set and not-in-set. The time of a
disconnection has less-than and less-than-equals only.`,
	"threshold": `What is normal is said in exactly one way: by a fixed value, by a percentile of all things (statisticalThreshold), or by a model
(mlDetectionConfig).`,
	"value": `The value has one member, which the metric decides: count, cidrs or ports of AWS's metrics; number, numbers, strings or cidrs of
custom ones. A custom number has number and not count, though an example of AWS's SDK says so.`,
	"cidr": `Addresses are in CIDR notation, as 10.0.0.0/8 or fd00::/8, or single addresses.`,
	"duration": `durationSeconds is 300, 600, 900, 1800 or 3600. Lists (ports, addresses) are compared as they are reported and have no duration,
and neither has the time of a disconnection.`,
	"consecutive-datapoints": `consecutiveDatapointsToAlarm and consecutiveDatapointsToClear are 1 to 10, and 1 when they are absent.`,
	"statistic": `statistic is p0, p0.1, p0.01, p1, p10, p50, p90, p99, p99.9, p99.99 or p100. There is no "Average", though CloudFormation's
schema lists it.`,
	"ml": `ML Detect models the counts that AWS documents (not lists, and not the time of a disconnection), and of custom metrics those of
type number. A profile is either of ML behaviors or of rules: divide it.`,
	"dimension": `A dimension narrows a metric to topics, so it's only for messages, authorization failures and source addresses, which AWS IoT
counts itself. Its operator is IN or NOT_IN.`,
	"export":       `A metric with exportMetric is published by AWS IoT; metricsExportConfig says to which topic and with which role.`,
	"arn":          `The ARN is not one of the kind that is needed here: an SNS topic, or an IAM role with 20 characters or more.`,
	"alert-target": `The one kind of alert target is SNS.`,
	"target": `A profile's targets are all/things, all/registered-things, all/unregistered-things, thing groups, or the ARNs of these. A single
thing is no target: put it into a group.`,
	"tags":         `A tag's key has 1 to 128 letters, digits, spaces and _ . : / = + - @, and does not begin with aws:. Its value has 256 characters at most.`,
	"topic-filter": `A dimension has 1 to 100 MQTT topic filters of at most 256 characters: + is a whole level, # is the last one.`,
	"action":       `A mitigation action has the parameters of exactly one type of action.`,
}
