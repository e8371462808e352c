package localcore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// decodeObject reads one JSON object and nothing after it. Numbers become
// int64 or float64, by their spelling: nucleus lite tells 1 from 1.0.
func decodeObject(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("JSON %T where an object is expected", v)
	}
	return mapScalars(object, number).(map[string]any), nil
}

func number(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil {
		return math.Copysign(math.MaxFloat64, f) // out of range
	}
	return f
}

// mapScalars returns v with f applied to each scalar in it. The maps and lists
// are new.
func mapScalars(v any, f func(any) any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = mapScalars(e, f)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = mapScalars(e, f)
		}
		return l
	default:
		return f(v)
	}
}

// encode returns v as the nucleus spells JSON: compact, keys of free-form maps
// in order. Java's is Gson's, with HTML escaping on.
func (c *Core) encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(!c.lite())
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !c.lite() { // both occur in strings only
		out = bytes.ReplaceAll(out, []byte("="), []byte(`\u003d`))
		out = bytes.ReplaceAll(out, []byte("'"), []byte(`\u0027`))
	}
	return out, nil
}

// spell makes the floats of a configuration value appear as the nucleus
// prints them.
func (c *Core) spell(v any) any {
	return mapScalars(v, func(v any) any {
		f, ok := v.(float64)
		switch {
		case !ok:
			return v
		case c.lite():
			return liteFloat(f)
		default:
			return javaDouble(f)
		}
	})
}

// javaDouble is spelled as Double.toString does: 60.0, 1.6777216E7.
type javaDouble float64

func (d javaDouble) MarshalJSON() ([]byte, error) {
	if a := math.Abs(float64(d)); a == 0 || a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(float64(d), 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return []byte(s), nil
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(float64(d), 'E', -1, 64), "E")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	e, err := strconv.Atoi(exponent)
	if err != nil {
		return nil, fmt.Errorf("double %v has no JSON form", float64(d))
	}
	return []byte(mantissa + "E" + strconv.Itoa(e)), nil
}

// liteFloat is spelled as C's "%#.17g" does: 1.5000000000000000.
type liteFloat float64

func (f liteFloat) MarshalJSON() ([]byte, error) {
	s := fmt.Sprintf("%#.17g", float64(f))
	return []byte(strings.TrimSuffix(s, ".")), nil
}
