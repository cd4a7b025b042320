package utils

import (
	"bytes"
	"io"
)

const upperHex = "0123456789ABCDEF"

// plain tells which bytes stand for themselves in query-string form.
var plain = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] = true
		t[c-'a'+'A'] = true
	}
	for _, c := range "*-._" {
		t[c] = true
	}
	return t
}()

// Parse replaces the content of a by the pairs of the query string s, in
// order: k=v pairs with '&' between them, in which %XX is the byte of that
// number and '+' is a space. A pair without '=' has an empty value, an empty
// pair (as in "a=1&&b=2") is skipped, and a '%' that two hex digits do not
// follow stands for itself. So every s can be parsed. The result shares no
// memory with s.
func (a *Args) Parse(s string) {
	parse(a, s)
}

// ParseBytes is Parse for bytes, which the caller may reuse at once.
func (a *Args) ParseBytes(b []byte) {
	parse(a, b)
}

func parse[T string | []byte](a *Args, s T) {
	a.Reset()
	if len(s) == 0 {
		return
	}
	// Decoding never lengthens, so one chunk holds all keys and values.
	a.reserve(len(s))
	if a.pairs == nil {
		a.pairs = make([]pair, 0, expectedPairs(s))
	}
	parsePairs(a, s)
}

func parsePairs[T string | []byte](a *Args, s T) {
	for start := 0; start < len(s); {
		end, equals := start, -1
		for end < len(s) && s[end] != '&' {
			if s[end] == '=' && equals < 0 {
				equals = end
			}
			end++
		}
		switch {
		case start == end:
		case equals < 0:
			a.pairs = append(a.pairs, pair{unescape(a, s[start:end]), []byte{}})
		default:
			a.pairs = append(a.pairs, pair{unescape(a, s[start:equals]), unescape(a, s[equals+1:end])})
		}
		start = end + 1
	}
}

// expectedPairs guesses from s how long the list of pairs will be. It stops
// counting early, so that a few bytes do not make a long list.
func expectedPairs[T string | []byte](s T) int {
	n := 1
	for i := 0; i < len(s) && n < 16; i++ {
		if s[i] == '&' {
			n++
		}
	}
	return n
}

// unescape stores the decoded form of s, for which room is reserved.
func unescape[T string | []byte](a *Args, s T) []byte {
	if len(s) == 0 {
		return []byte{}
	}
	kept := a.free
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s):
			high, low := fromHex(s[i+1]), fromHex(s[i+2])
			if high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
		}
		kept = append(kept, c)
	}
	a.free = kept[len(kept):]
	return kept[:len(kept):len(kept)]
}

// fromHex returns the value of a hex digit, or -1.
func fromHex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// AppendBytes appends the query-string form of a to dst and returns the
// extended slice: k=v pairs in order, '&' between them. Letters, digits and
// * - . _ stand for themselves; every other byte is %XX in upper-case hex,
// also the space (%20). A pair with an empty value is written "k=", so that
// Parse makes the same pairs of it, even of an empty key with an empty value.
func (a *Args) AppendBytes(dst []byte) []byte {
	for i := range a.pairs {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = appendEscaped(dst, a.pairs[i].key)
		dst = append(dst, '=')
		dst = appendEscaped(dst, a.pairs[i].value)
	}
	return dst
}

func appendEscaped(dst, src []byte) []byte {
	for _, c := range src {
		if plain[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// EncodedLen returns the number of bytes that AppendBytes appends.
func (a *Args) EncodedLen() int {
	if len(a.pairs) == 0 {
		return 0
	}
	n := 2*len(a.pairs) - 1
	for i := range a.pairs {
		n += escapedLen(a.pairs[i].key) + escapedLen(a.pairs[i].value)
	}
	return n
}

func escapedLen(src []byte) int {
	n := len(src)
	for _, c := range src {
		if !plain[c] {
			n += 2
		}
	}
	return n
}

// QueryString returns the query-string form of a, as AppendBytes writes it,
// in a slice of the caller's own: nil for an empty Args.
func (a *Args) QueryString() []byte {
	if len(a.pairs) == 0 {
		return nil
	}
	return a.AppendBytes(make([]byte, 0, a.EncodedLen()))
}

// String returns the query-string form of a, as AppendBytes writes it.
func (a *Args) String() string {
	return string(a.QueryString())
}

// WriteTo writes the query-string form of a to w in at most one Write, and
// returns the number of bytes written. An empty Args writes nothing. It
// implements io.WriterTo.
func (a *Args) WriteTo(w io.Writer) (int64, error) {
	return bytes.NewReader(a.QueryString()).WriteTo(w)
}

var _ io.WriterTo = (*Args)(nil)
