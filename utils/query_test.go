package utils_test

import (
	"bytes"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/utils"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"a=1", []string{"a=1"}},
		{"a=1&b=2&a=3", []string{"a=1", "b=2", "a=3"}},
		{"a", []string{"a="}},
		{"a=", []string{"a="}},
		{"=", []string{"="}},
		{"=v", []string{"=v"}},
		{"&&a=1&&&b=2&", []string{"a=1", "b=2"}},
		{"a=b=c", []string{"a=b=c"}},
		{"a+b=c+d", []string{"a b=c d"}},
		{"%61%3d=%3D%26%2B%25", []string{"a===&+%"}},
		{"a=%", []string{"a=%"}},
		{"a=%4", []string{"a=%4"}},
		{"a=%4&b=1", []string{"a=%4", "b=1"}},
		{"a=%zz%4g%20", []string{"a=%zz%4g "}},
		{"a=%%41", []string{"a=%A"}},
		{"a=100%", []string{"a=100%"}},
		{"k=%00%ff", []string{"k=\x00\xff"}},
		{"a=1;b=2", []string{"a=1;b=2"}},
		{"键=值", []string{"键=值"}},
	}
	for _, tt := range tests {
		var a, b utils.Args
		a.Add("old", "pair")
		a.Parse(tt.in)
		wantList(t, &a, tt.want...)
		b.ParseBytes([]byte(tt.in))
		wantList(t, &b, tt.want...)
	}
}

func TestEncode(t *testing.T) {
	tests := []struct {
		key, value, want string
	}{
		{"a", "1", "a=1"},
		{"a", "", "a="},
		{"", "", "="},
		{"azAZ09*-._", "~!@#/:", "azAZ09*-._=%7E%21%40%23%2F%3A"},
		{"a b", "c+d", "a%20b=c%2Bd"},
		{"k", "&=%", "k=%26%3D%25"},
		{"k", "\x00\xff é", "k=%00%FF%20%C3%A9"},
		// As a program of 2017 writes it.
		{
			"X-Reply-Error", `{"code":1002,"message":"nil body error","detail":"d"}`,
			"X-Reply-Error=%7B%22code%22%3A1002%2C%22message%22%3A%22nil%20body%20error%22%2C%22detail%22%3A%22d%22%7D",
		},
	}
	for _, tt := range tests {
		var a utils.Args
		a.Add(tt.key, tt.value)
		if got := a.String(); got != tt.want {
			t.Errorf("String: got %q, want %q", got, tt.want)
		}
		if got := a.QueryString(); string(got) != tt.want || cap(got) > len(got)+32 {
			t.Errorf("QueryString: got %q with capacity %d, want %q", got, cap(got), tt.want)
		}
		if got := a.EncodedLen(); got != len(tt.want) {
			t.Errorf("EncodedLen of %q: got %d, want %d", tt.want, got, len(tt.want))
		}
		if got := a.AppendBytes([]byte("x")); string(got) != "x"+tt.want {
			t.Errorf("AppendBytes: got %q, want x%s", got, tt.want)
		}
		var out bytes.Buffer
		if n, err := a.WriteTo(&out); err != nil || n != int64(len(tt.want)) || out.String() != tt.want {
			t.Errorf("WriteTo: got %q, %d, %v, want %q", out.String(), n, err, tt.want)
		}
		var back utils.Args
		back.Parse(tt.want)
		wantList(t, &back, tt.key+"="+tt.value)
	}
}

func TestEncodeEmpty(t *testing.T) {
	var a utils.Args
	var out bytes.Buffer
	if n, err := a.WriteTo(&out); n != 0 || err != nil || out.Len() != 0 {
		t.Errorf("WriteTo: got %d, %v, want nothing", n, err)
	}
	if a.QueryString() != nil || a.String() != "" || a.AppendBytes(nil) != nil || a.EncodedLen() != 0 {
		t.Error("an empty Args encodes as something")
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write(b []byte) (int, error) { return 2, errBroken }

func TestWriteToError(t *testing.T) {
	var a utils.Args
	a.Add("key", "value")
	if n, err := a.WriteTo(brokenWriter{}); n != 2 || !errors.Is(err, errBroken) {
		t.Errorf("got %d, %v, want 2, %v", n, err, errBroken)
	}
}

// TestEncodeAgainstURL checks that the standard library reads what we write.
func TestEncodeAgainstURL(t *testing.T) {
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	var a utils.Args
	a.Add(all.String(), all.String())
	values, err := url.ParseQuery(a.String())
	if err != nil || values.Get(all.String()) != all.String() {
		t.Errorf("net/url reads %q, %v", values, err)
	}
}

func FuzzArgsParse(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "=", "&&", "%", "%4", "a+b=%20", "a=%zz&=&k", "X=%7B%22c%22%3A1%7D", "\x00=\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		var a, b, c utils.Args
		a.ParseBytes(query)
		encoded := a.AppendBytes(nil)
		b.ParseBytes(encoded)
		if got, want := list(&b), list(&a); !slices.Equal(got, want) {
			t.Fatalf("pairs of %q: got %q, want %q", encoded, got, want)
		}
		if again := b.QueryString(); !bytes.Equal(again, encoded) {
			t.Fatalf("encoded again: got %q, want %q", again, encoded)
		}
		a.CopyTo(&c)
		for i := range query {
			query[i] ^= 0xff
		}
		if got := c.String(); got != string(encoded) || a.String() != got {
			t.Fatalf("copy: got %q, want %q", got, encoded)
		}
	})
}
