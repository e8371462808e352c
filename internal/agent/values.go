package agent

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// integer takes 30, 30.0, "30", "30.0" and "3.0E1".
func integer(v any) (int, bool) {
	f, ok := v.(float64)
	if s, isText := v.(string); isText {
		s = strings.TrimSpace(s)
		var err error
		f, err = strconv.ParseFloat(s, 64)
		ok = err == nil && strings.Trim(s, "+-0123456789.eE") == "" // no hexadecimal
	}
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1e9 {
		return 0, false
	}
	return int(f), true
}

// boolean takes true and "true".
func boolean(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

// text takes a string.
func text(v any) (string, bool) {
	s, ok := v.(string)
	return strings.TrimSpace(s), ok
}

// list takes a list of strings, or one string of words between commas.
func list(v any) ([]string, bool) {
	var words []string
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		words = strings.Split(v, ",")
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, false
			}
			words = append(words, s)
		}
	default:
		return nil, false
	}
	for i, w := range words {
		words[i] = strings.TrimSpace(w)
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" }), true
}

// member returns an object's member by a name of any case, nil if it has none.
func member(object map[string]any, name string) any {
	value, _ := lookupMember(object, name)
	return value
}

func lookupMember(object map[string]any, name string) (value any, ok bool) {
	for k, v := range object {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}
