package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Prefix begins the environment variables that set flags.
const Prefix = "DEFENDERCTL_"

// Secret annotates flags whose values are not to be shown.
const Secret = "secret"

// Variable is the environment variable that sets the flag.
func Variable(flag string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Where the value of a flag is from. Others are variables and places in a file.
const (
	Default     = "default"
	CommandLine = "command line"
)

// Sources says by flag where its value is from.
type Sources map[string]string

// Apply sets the flags that are not on the command line: by the environment, and
// else by the file. Keys that are no flag are in fields; what is in except is a flag
// and no key. All that is wrong is in the error.
func Apply(flags *pflag.FlagSet, file Node, lookup func(string) (string, bool), except []string, fields map[string]func(Node) error) (Sources, error) {
	sources := Sources{}
	var errs []error
	all := maps.Clone(fields)
	if all == nil {
		all = map[string]func(Node) error{}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(except, f.Name) {
			return
		}
		sources[f.Name] = Default
		if f.Changed {
			sources[f.Name] = CommandLine
		} else if text, ok := lookup(Variable(f.Name)); ok && text != "" {
			sources[f.Name] = Variable(f.Name)
			if flags.Set(f.Name, text) != nil {
				errs = append(errs, fmt.Errorf("%s: want a value of --%s: %s", Variable(f.Name), f.Name, wanted(f)))
			}
		}
		all[f.Name] = func(n Node) error {
			if sources[f.Name] != Default {
				return nil
			}
			sources[f.Name] = n.Where()
			return set(f, n)
		}
	})
	if file.node != nil {
		errs = append(errs, file.Fields(all))
	}
	return sources, errors.Join(errs...)
}

// set gives a flag a value of the file.
func set(f *pflag.Flag, n Node) error {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		texts, err := n.Texts()
		if err != nil {
			return err
		}
		if list.Replace(texts) != nil {
			return n.Errorf("want %s", wanted(f))
		}
		f.Changed = true
		return nil
	}
	text, err := n.Text()
	if err != nil {
		return err
	}
	if f.Value.Set(text) != nil {
		return n.Errorf("want %s", wanted(f))
	}
	f.Changed = true
	return nil
}

// wanted says what a flag takes. What pflag says quotes the value.
func wanted(f *pflag.Flag) string {
	switch kind := f.Value.Type(); kind {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration, such as 30s or 5m"
	case "int", "int64", "uint", "uint64":
		return "a whole number"
	default:
		return "what --" + f.Name + " takes"
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
