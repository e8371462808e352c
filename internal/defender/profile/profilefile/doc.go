// Package profilefile reads and writes the documents of package profile as
// files, and says what is wrong with them and where. It does no I/O but [Load]'s.
//
// A file is JSON or YAML, of one document or several. [Parse] and [Load] make a
// [Set] of files; they are strict, as a misspelt key is a behavior that does
// nothing, and find all faults at once. What is read is then held to AWS's
// grammar by [Set.Validate], which says where each fault is. Both find only what
// AWS would refuse or what would do nothing; what is allowed but probably not
// meant is for [Lint]. [Diff] compares profiles, [Cost] says what they cost.
package profilefile
