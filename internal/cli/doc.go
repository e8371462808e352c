// Package cli is defenderctl: one file for each command, and the one place
// that puts the agent and the stand-in core together.
//
// Commands write what was asked for to stdout and remarks to stderr, so that
// output can be piped. Each command's help has an example.
package cli
