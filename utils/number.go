package utils

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ErrNoArgValue means that an Args has no pair with the key asked for. Test
// for it with errors.Is.
var ErrNoArgValue = errors.New("utils: no argument with that key")

// SetUint is Set with the decimal digits of value. A negative value is stored
// with its sign: Peek shows it, while GetUint refuses it with an error.
func (a *Args) SetUint(key string, value int) {
	var digits [20]byte
	set(a, key, strconv.AppendInt(digits[:0], int64(value), 10))
}

// SetUintBytes is SetUint with the key as bytes.
func (a *Args) SetUintBytes(key []byte, value int) {
	var digits [20]byte
	set(a, key, strconv.AppendInt(digits[:0], int64(value), 10))
}

// GetUint returns the first value of the key as a number from 0 to the
// largest int. The error is ErrNoArgValue if there is no such key, wraps
// strconv.ErrRange if the number is too large, and wraps strconv.ErrSyntax if
// the value is anything else than decimal digits.
func (a *Args) GetUint(key string) (int, error) {
	value := a.Peek(key)
	if value == nil {
		return 0, ErrNoArgValue
	}
	if len(value) == 0 {
		return 0, badValue(key, value, "an unsigned integer", strconv.ErrSyntax)
	}
	n, tooLarge := 0, false
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, badValue(key, value, "an unsigned integer", strconv.ErrSyntax)
		}
		digit := int(c - '0')
		if n > (math.MaxInt-digit)/10 {
			tooLarge = true
			continue // the rest may still be no digits
		}
		n = n*10 + digit
	}
	if tooLarge {
		return 0, badValue(key, value, "an unsigned integer", strconv.ErrRange)
	}
	return n, nil
}

// GetUintOrZero is GetUint with 0 in place of every error.
func (a *Args) GetUintOrZero(key string) int {
	n, err := a.GetUint(key)
	if err != nil {
		return 0
	}
	return n
}

// GetUfloat returns the first value of the key as a number that is not
// negative, written in decimal with an optional fraction and exponent, such
// as "3", "0.5" or "2.5e-3". The error is ErrNoArgValue if there is no such
// key, wraps strconv.ErrRange if the number is too large for a float64, and
// wraps strconv.ErrSyntax for anything else: a sign, NaN, Inf and hexadecimal
// are refused.
func (a *Args) GetUfloat(key string) (float64, error) {
	value := a.Peek(key)
	if value == nil {
		return 0, ErrNoArgValue
	}
	if !isDecimal(value) {
		return 0, badValue(key, value, "an unsigned number", strconv.ErrSyntax)
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return 0, badValue(key, value, "an unsigned number", errors.Unwrap(err))
	}
	return f, nil
}

// GetUfloatOrZero is GetUfloat with 0 in place of every error.
func (a *Args) GetUfloatOrZero(key string) float64 {
	f, err := a.GetUfloat(key)
	if err != nil {
		return 0
	}
	return f
}

// GetBool reports whether the first value of the key is one of 1, t, true, y,
// yes and on, in upper or lower case. A missing key is false, and so is every
// other value.
func (a *Args) GetBool(key string) bool {
	value := a.Peek(key)
	var lower [4]byte
	if len(value) > len(lower) {
		return false
	}
	for i, c := range value {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(value)]) {
	case "1", "t", "true", "y", "yes", "on":
		return true
	}
	return false
}

// isDecimal reports whether strconv.ParseFloat would take value for a plain
// decimal number, if for any number at all.
func isDecimal(value []byte) bool {
	if len(value) == 0 || value[0] == '+' || value[0] == '-' {
		return false
	}
	for _, c := range value {
		switch {
		case '0' <= c && c <= '9':
		case c == '.', c == 'e', c == 'E', c == '+', c == '-':
		default:
			return false
		}
	}
	return true
}

// badValue tells what is wrong with the value of a key, shortened: it may
// come from the network.
func badValue(key string, value []byte, want string, cause error) error {
	return fmt.Errorf("utils: argument %.64q: value %.64q is not %s: %w", key, value, want, cause)
}
