package utils_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/utils"
)

func TestGetUint(t *testing.T) {
	tooLarge := strconv.FormatUint(math.MaxInt+1, 10)
	tests := []struct {
		value string
		want  int
		err   error
	}{
		{"0", 0, nil},
		{"7", 7, nil},
		{"007", 7, nil},
		{strconv.Itoa(math.MaxInt), math.MaxInt, nil},
		{tooLarge, 0, strconv.ErrRange},
		{"99999999999999999999999", 0, strconv.ErrRange},
		{"99999999999999999999999x", 0, strconv.ErrSyntax},
		{"", 0, strconv.ErrSyntax},
		{"-1", 0, strconv.ErrSyntax},
		{"+1", 0, strconv.ErrSyntax},
		{"1.0", 0, strconv.ErrSyntax},
		{" 1", 0, strconv.ErrSyntax},
		{"0x10", 0, strconv.ErrSyntax},
		{strings.Repeat("x", 10000), 0, strconv.ErrSyntax},
	}
	for _, tt := range tests {
		var a utils.Args
		a.Set("n", tt.value)
		got, err := a.GetUint("n")
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("GetUint of %.40q: got %d, %v, want %d, %v", tt.value, got, err, tt.want, tt.err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
		if got := a.GetUintOrZero("n"); got != tt.want {
			t.Errorf("GetUintOrZero of %.40q: got %d, want %d", tt.value, got, tt.want)
		}
	}
}

func TestGetUfloat(t *testing.T) {
	tests := []struct {
		value string
		want  float64
		err   error
	}{
		{"0", 0, nil},
		{"3", 3, nil},
		{"0.5", 0.5, nil},
		{".5", 0.5, nil},
		{"2.5e-3", 0.0025, nil},
		{"1E+2", 100, nil},
		{"1e999", 0, strconv.ErrRange},
		{"", 0, strconv.ErrSyntax},
		{"-1", 0, strconv.ErrSyntax},
		{"+1", 0, strconv.ErrSyntax},
		{"1.2.3", 0, strconv.ErrSyntax},
		{"e", 0, strconv.ErrSyntax},
		{"NaN", 0, strconv.ErrSyntax},
		{"Inf", 0, strconv.ErrSyntax},
		{"0x1p4", 0, strconv.ErrSyntax},
		{"1_000", 0, strconv.ErrSyntax},
	}
	for _, tt := range tests {
		var a utils.Args
		a.Set("f", tt.value)
		got, err := a.GetUfloat("f")
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("GetUfloat of %q: got %v, %v, want %v, %v", tt.value, got, err, tt.want, tt.err)
		}
		if got := a.GetUfloatOrZero("f"); got != tt.want {
			t.Errorf("GetUfloatOrZero of %q: got %v, want %v", tt.value, got, tt.want)
		}
	}
}

func TestNumberMissing(t *testing.T) {
	var a utils.Args
	if _, err := a.GetUint("n"); !errors.Is(err, utils.ErrNoArgValue) {
		t.Errorf("GetUint: got %v, want %v", err, utils.ErrNoArgValue)
	}
	if _, err := a.GetUfloat("f"); !errors.Is(err, utils.ErrNoArgValue) {
		t.Errorf("GetUfloat: got %v, want %v", err, utils.ErrNoArgValue)
	}
}

func TestSetUint(t *testing.T) {
	for _, n := range []int{0, 1, 42, math.MaxInt, math.MinInt, -5} {
		var a utils.Args
		a.Add("n", "x")
		a.Add("n", "y")
		a.SetUint("n", n)
		a.SetUintBytes([]byte("m"), n)
		wantList(t, &a, "n="+strconv.Itoa(n), "m="+strconv.Itoa(n))
		got, err := a.GetUint("n")
		if n >= 0 && (got != n || err != nil) || n < 0 && !errors.Is(err, strconv.ErrSyntax) {
			t.Errorf("GetUint after SetUint(%d): got %d, %v", n, got, err)
		}
	}
}

func TestGetBool(t *testing.T) {
	tests := map[string]bool{
		"1": true, "t": true, "T": true, "true": true, "TRUE": true, "True": true, "y": true, "yes": true, "YES": true, "on": true, "On": true,
		"": false, "0": false, "false": false, "no": false, "off": false, "2": false, "truee": false, " true": false, "yeſ": false, "tru\x00": false,
	}
	for value, want := range tests {
		var a utils.Args
		a.Set("b", value)
		if got := a.GetBool("b"); got != want {
			t.Errorf("GetBool of %q: got %v, want %v", value, got, want)
		}
	}
	if new(utils.Args).GetBool("b") {
		t.Error("GetBool of a missing key: got true")
	}
}
