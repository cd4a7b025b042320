package report

import (
	"math"
	"strconv"
	"strings"
)

// none stands where nothing was measured.
const none = "-"

// group writes a whole number with commas between the thousands.
func group(v float64) string {
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// digits writes a number to three digits, all of them when it is larger.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return group(v)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1 || v == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// few writes a number of which a hundredth is the least that matters.
func few(v float64) string {
	if v < 0.995 {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return digits(v)
}

// times writes a ratio: two decimals, one more when it is small.
func times(v float64) string {
	if v < 0.0995 {
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	if v < 9.995 {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return digits(v)
}

// thousands writes a number a thousandth as large.
func thousands(v float64) string { return digits(v / 1000) }

// mebibytes writes bytes as MiB.
func mebibytes(v float64) string { return digits(v / (1 << 20)) }

// short writes a number in little room: 441k.
func short(v float64) string {
	if v < 1000 {
		return digits(v)
	}
	return thousands(v) + "k"
}

// duration writes microseconds in the unit that fits.
func duration(us float64) string {
	switch {
	case us < 999.5:
		return digits(us) + " µs"
	case us < 999.5e3:
		return digits(us/1e3) + " ms"
	}
	return digits(us/1e6) + " s"
}

// median writes the median of a series.
func median(s Series, write func(float64) string) string {
	if sp := s.Spread(); sp.N > 0 {
		return write(sp.Median)
	}
	return none
}

// spread writes the extremes of a series, which one round does not have.
func spread(s Series, write func(float64) string) string {
	if sp := s.Spread(); sp.N > 1 {
		return write(sp.Min) + ".." + write(sp.Max)
	}
	return none
}

// medianSpread writes the median with the extremes behind it.
func medianSpread(s Series, write func(float64) string) string {
	if len(s) < 2 {
		return median(s, write)
	}
	return median(s, write) + " (" + spread(s, write) + ")"
}
