// Package cloud is what defenderctl does with AWS IoT: it plans and applies
// security profiles, exports them, reads violations and metric values, and
// sees to alerts and mitigation. It speaks to AWS or to anything that answers
// the same API, as 'defenderctl serve' does; only [Connect] treats the two
// differently.
//
// # Plan and apply
//
// Files state what an account should have; they do not state all that it has,
// and nothing is deleted because no file names it. [Client.Plan] reads what is
// there and returns the steps that make it so; [Plan.Apply] takes them, in this
// order:
//
//  1. custom metrics and dimensions, which profiles refer to;
//  2. profiles, created with their tags or updated;
//  3. tags of what was there already;
//  4. targets, attached before others are detached, so that no thing is
//     without its profile in between; only a target that another profile needs
//     is left first, as a target has [profile.MaxProfilesPerTarget] at most.
//
// A step does one call, and a call that was made before does no harm. So when
// a step fails, the steps before it are done, those after it are not, and
// planning again finds exactly these. An update names the version that was
// read: what somebody else changed in between is not overwritten.
//
// What a file is silent about stays: targets and tags that it doesn't mention.
// Everything else that it doesn't mention is removed, as a profile is one
// document: UpdateSecurityProfile leaves out what is to stay and has a flag
// for each list that is to be emptied.
//
// # Pace and patience
//
// AWS allows so many calls of each operation per second; a [Client] stays
// below that by itself and tries again, at longer intervals, what is throttled
// or fails on the way. It's safe for concurrent use.
package cloud
