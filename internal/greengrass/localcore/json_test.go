package localcore

import (
	"math"
	"testing"
)

func TestNumbersAreSpelledAsTheNucleusDoes(t *testing.T) {
	for _, test := range []struct {
		value      float64
		java, lite string
	}{
		{60, "60.0", "60.000000000000000"},
		{1.5, "1.5", "1.5000000000000000"},
		{0, "0.0", "0.0000000000000000"},
		{-0.25, "-0.25", "-0.25000000000000000"},
		{0.001, "0.001", "0.0010000000000000000"},
		{0.00025, "2.5E-4", "0.00025000000000000001"},
		{9_999_999, "9999999.0", "9999999.0000000000"},
		{10_000_000, "1.0E7", "10000000.000000000"},
		{16_777_216, "1.6777216E7", "16777216.000000000"},
		{1_795_384_224.359, "1.795384224359E9", "1795384224.3590000"},
		{1e22, "1.0E22", "1.0000000000000000e+22"},
		{12_345_678_901_234_568, "1.2345678901234568E16", "12345678901234568"},
	} {
		if b, err := javaDouble(test.value).MarshalJSON(); err != nil || string(b) != test.java {
			t.Errorf("Java prints %v as %s, %v; want %s", test.value, b, err, test.java)
		}
		if b, err := liteFloat(test.value).MarshalJSON(); err != nil || string(b) != test.lite {
			t.Errorf("lite prints %v as %s, %v; want %s", test.value, b, err, test.lite)
		}
	}
	if _, err := javaDouble(math.Inf(1)).MarshalJSON(); err == nil {
		t.Error("infinity has JSON")
	}
}
