package tp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	tp "github.com/henrylee2cn/teleport"
	"github.com/henrylee2cn/teleport/utils"
)

// rerror2017 is the error of the captured reply of a program of 2017: its
// detail is `detail "q" \ back`, and only the quotation marks are escaped.
const rerror2017 = `{"code":1001,"message":"my error","detail":"detail \"q\" \ back"}`

func TestRerrorIsNoError(t *testing.T) {
	typ := reflect.TypeFor[*tp.Rerror]()
	if typ.Implements(reflect.TypeFor[error]()) {
		t.Errorf("%v implements error: a nil one in an error would not be nil", typ)
	}
	if got := typ.Elem().NumField(); got != 3 {
		t.Errorf("Rerror has %d fields, want 3: users write unkeyed literals", got)
	}
	_ = tp.Rerror{1, "message", "detail"}
}

func TestNewRerror(t *testing.T) {
	for _, tt := range []struct {
		got  *tp.Rerror
		want tp.Rerror
	}{
		{tp.NewRerror(0, "m"), tp.Rerror{0, "m", ""}},
		{tp.NewRerror(-1, "m", "d"), tp.Rerror{-1, "m", "d"}},
		{tp.NewRerror(1001, "m", "d", "e"), tp.Rerror{1001, "m", "d\ne"}},
	} {
		if *tt.got != tt.want {
			t.Errorf("got %+v, want %+v", *tt.got, tt.want)
		}
	}
}

func TestRerrorCopy(t *testing.T) {
	r := tp.NewRerror(1, "m", "d")
	c := r.Copy()
	if c == r || *c != *r {
		t.Fatalf("Copy() = %p %v of %p %v", c, c, r, r)
	}
	c.Message = "other"
	if r.Message != "m" {
		t.Error("changing the copy changed the original")
	}
}

func TestRerrorJSON(t *testing.T) {
	for _, tt := range []struct {
		r    *tp.Rerror
		want string
	}{
		{nil, `null`},
		{&tp.Rerror{}, `{"code":0,"message":"","detail":""}`},
		{tp.NewRerror(-5, "<a> & 'b'", "/x?y=z"), `{"code":-5,"message":"<a> & 'b'","detail":"/x?y=z"}`},
		{tp.NewRerror(1, `say "hi"`, "C:\\new\nline\ttab"), `{"code":1,"message":"say \"hi\"","detail":"C:\\new\nline\ttab"}`},
		{tp.NewRerror(1, "世界 😀", "\x00\x1b"), `{"code":1,"message":"世界 😀","detail":"\u0000\u001b"}`},
		{tp.NewRerror(1, "bad \xff", "\u2028"), `{"code":1,"message":"bad \ufffd","detail":"\u2028"}`},
		{tp.NewRerror(1, `","detail":"`, `"}`), `{"code":1,"message":"\",\"detail\":\"","detail":"\"}"}`},
	} {
		got, err := tt.r.MarshalJSON()
		if err != nil || string(got) != tt.want {
			t.Errorf("MarshalJSON() = %s, %v, want %s", got, err, tt.want)
		}
		if tt.r == nil {
			if got := tt.r.String(); got != "<nil>" {
				t.Errorf("String() of nil = %q", got)
			}
			continue
		}
		if s := tt.r.String(); s != tt.want {
			t.Errorf("String() = %s, want %s", s, tt.want)
		}
		if s := fmt.Sprintf("%v", tt.r); s != tt.want {
			t.Errorf("%%v = %s, want %s", s, tt.want)
		}
		for _, decode := range []func([]byte, *tp.Rerror) error{
			func(b []byte, r *tp.Rerror) error { return r.UnmarshalJSON(b) },
			func(b []byte, r *tp.Rerror) error { return json.Unmarshal(b, r) },
		} {
			var back tp.Rerror
			want := *tt.r
			want.Message = strings.ToValidUTF8(want.Message, "\uFFFD")
			if err := decode(got, &back); err != nil || back != want {
				t.Errorf("decoding %s = %+v, %v", got, back, err)
			}
		}
	}
}

func TestRerrorUnmarshalJSON(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     tp.Rerror
	}{
		{"any order and space", "{ \"detail\" : \"d\",\n\"x\":[1],\"code\":7 }", tp.Rerror{7, "", "d"}},
		{"escapes", `{"code":7,"message":"\u4e16\/\n"}`, tp.Rerror{7, "世/\n", ""}},
		{"2017 capture", rerror2017, tp.Rerror{1001, "my error", `detail "q" \ back`}},
		{"2017 newline", "{\"code\":-1,\"message\":\"a\nb\",\"detail\":\"\x1b\"}", tp.Rerror{-1, "a\nb", "\x1b"}},
		{"2017 backslash at an end", `{"code":1,"message":"m\","detail":"d\"}`, tp.Rerror{1, `m\`, `d\`}},
		{"2017 backslash before a mark", `{"code":1,"message":"\\"","detail":"\d"}`, tp.Rerror{1, `\"`, `\d`}},
		{"2017 separator in the text", `{"code":1,"message":"\",\"detail\":\"","detail":"\"}\ "}`, tp.Rerror{1, `","detail":"`, `"}\ `}},
		{"2017 invalid UTF-8", "{\"code\":1,\"message\":\"\xff\",\"detail\":\"\\ \"}", tp.Rerror{1, "\uFFFD", `\ `}},
	} {
		var got tp.Rerror
		if err := got.UnmarshalJSON([]byte(tt.in)); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
	for _, in := range []string{
		``, `{`, `{}`, `[]`, `"x"`, `1`, `{"message":"m","detail":"d"}`, `{"code":"1"}`,
		`{"code":2147483648,"message":"m","detail":"d"}`, `{"code":1,"message":2}`,
		`{"code":1e0,"message":"m","detail":"\ "}`, `{"code":1,"message":"\ "}`,
		`{"code":1,"message":"m","detail":"\ "`, `{"code":1,"message":"m"m","detail":"\ "}`,
		`{"code":1,"message":"m","detail":""\ "}`, rerror2017 + " ", rerror2017 + rerror2017,
	} {
		got := tp.Rerror{9, "m", "d"}
		if err := got.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%q was read as %+v, want an error", in, got)
		}
		if got != (tp.Rerror{9, "m", "d"}) {
			t.Errorf("%q changed the receiver to %+v in spite of its error", in, got)
		}
	}
	got := tp.Rerror{9, "m", "d"}
	if err := json.Unmarshal([]byte("null"), &got); err != nil || got != (tp.Rerror{9, "m", "d"}) {
		t.Errorf("null: got %+v, %v, want no change", got, err)
	}
}

func TestRerrorMeta(t *testing.T) {
	meta := new(utils.Args)
	(*tp.Rerror)(nil).SetToMeta(meta)
	if meta.Len() != 0 {
		t.Errorf("a nil error changed the meta: %v", meta)
	}
	tp.NewRerror(1, "m").SetToMeta(nil)
	for _, meta := range []*utils.Args{nil, meta} {
		if r := tp.NewRerrorFromMeta(meta); r != nil {
			t.Errorf("NewRerrorFromMeta(%v) = %v, want nil", meta, r)
		}
	}

	want := tp.NewRerror(1002, "a&b=c%+ 世", "\"q\" \\ \n")
	want.SetToMeta(meta)
	if got := tp.NewRerrorFromMeta(meta); got == nil || *got != *want {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, tt := range []struct {
		value string
		want  *tp.Rerror
	}{
		{"", nil},
		{rerror2017, &tp.Rerror{1001, "my error", `detail "q" \ back`}},
		{"ouch", &tp.Rerror{tp.CodeBadPacket, "unreadable X-Reply-Error", "ouch"}},
		{"null", &tp.Rerror{tp.CodeBadPacket, "unreadable X-Reply-Error", "null"}},
		{"{}\xff", &tp.Rerror{tp.CodeBadPacket, "unreadable X-Reply-Error", "{}\uFFFD"}},
	} {
		meta.Set(tp.MetaRerrorKey, tt.value)
		got := tp.NewRerrorFromMeta(meta)
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%q: got %v, want %v", tt.value, got, tt.want)
		}
		meta.Set(tp.MetaRerrorKey, "xxxxxxxx")
		if got != nil && *got != *tt.want {
			t.Errorf("%q: the error changed with the meta to %v", tt.value, got)
		}
	}
}

// decodable replaces each byte that is no UTF-8, as JSON does.
func decodable(s string) string { return string([]rune(s)) }

func TestRerrorMetaCutsText(t *testing.T) {
	const limit = tp.MaxRerrorText
	for _, tt := range []struct {
		name            string
		message, detail string
		keptM, keptD    int
	}{
		{"fits exactly", "m", strings.Repeat("d", limit-1), 1, limit - 1},
		{"one byte over", "m", strings.Repeat("d", limit), 1, limit - 1},
		{"character on the border", "mm", strings.Repeat("世", limit/3+1), 2, (limit - 2) / 3 * 3},
		{"long message leaves no detail", strings.Repeat("世", limit), "d", limit / 3 * 3, 0},
		{"quotation marks take six", "", strings.Repeat(`"`, limit), 0, limit / 2},
		{"control characters take eight", "", strings.Repeat("\x01", limit), 0, limit * 3 / 8},
		{"line separators take eight, from three", "", strings.Repeat("\u2028", limit), 0, limit / 3 * 3},
		{"invalid bytes take eight", "", strings.Repeat("\xff", limit), 0, limit * 3 / 8},
		{"spaces take three", "", strings.Repeat(" ", 2*limit), 0, limit},
	} {
		meta := new(utils.Args)
		r := tp.NewRerror(1, tt.message, tt.detail)
		r.SetToMeta(meta)
		if r.Message != tt.message || r.Detail != tt.detail {
			t.Errorf("%s: SetToMeta changed the error itself", tt.name)
		}
		if n := len(meta.QueryString()); n > 3*limit+200 {
			t.Errorf("%s: %d bytes on the wire", tt.name, n)
		}
		got := tp.NewRerrorFromMeta(meta)
		wantM := decodable(tt.message[:tt.keptM])
		wantD := decodable(tt.detail[:tt.keptD])
		if got.Message != wantM || got.Detail != wantD {
			t.Errorf("%s: kept %d+%d bytes, want %d+%d", tt.name, len(got.Message), len(got.Detail), len(wantM), len(wantD))
		}
		if !utf8.ValidString(got.Message + got.Detail) {
			t.Errorf("%s: a character was cut in two", tt.name)
		}
	}
}

func TestRerrorToError(t *testing.T) {
	if err := (*tp.Rerror)(nil).ToError(); err != nil {
		t.Errorf("ToError() of nil = %v, want nil", err)
	}
	if r := tp.ToRerror(nil); r != nil {
		t.Errorf("ToRerror(nil) = %v, want nil", r)
	}

	known := []error{net.ErrClosed, context.DeadlineExceeded, os.ErrDeadlineExceeded, context.Canceled}
	for _, tt := range []struct {
		r    *tp.Rerror
		text string
		is   []error
	}{
		{tp.NewRerror(tp.CodeConnClosed, "gone"), "gone (102)", known[:1]},
		{tp.NewRerror(tp.CodeTimeout, "", "after 3s"), "Timeout: after 3s (408)", known[1:3]},
		{tp.NewRerror(tp.CodeCanceled, "m", "d"), "m: d (499)", known[3:]},
		{tp.NewRerror(tp.CodeNotFound, "m"), "m (404)", nil},
		{tp.NewRerror(1001, "", "d"), "d (1001)", nil},
		{tp.NewRerror(0, ""), "error (0)", nil},
	} {
		want := *tt.r
		err := tt.r.ToError()
		tt.r.Message = "changed afterwards"
		if got := err.Error(); got != tt.text {
			t.Errorf("Error() = %q, want %q", got, tt.text)
		}
		wrapped := fmt.Errorf("pull: %w", errors.Join(io.ErrShortWrite, err))
		for _, target := range known {
			want := false
			for _, is := range tt.is {
				want = want || is == target
			}
			if got := errors.Is(wrapped, target); got != want {
				t.Errorf("errors.Is(%v, %v) = %v", err, target, got)
			}
		}
		var netErr net.Error
		if !errors.As(wrapped, &netErr) {
			t.Fatalf("%v is no net.Error", err)
		}
		if timeout := want.Code == tp.CodeTimeout; netErr.Timeout() != timeout {
			t.Errorf("%v: Timeout() = %v, want %v", err, netErr.Timeout(), timeout)
		}
		back := tp.ToRerror(wrapped)
		if *back != want {
			t.Errorf("ToRerror gave back %v, want %v", back, &want)
		}
		back.Message = "changed"
		if got := *tp.ToRerror(err); got != want {
			t.Errorf("changing the Rerror changed the error to %v", &got)
		}
	}
}

func TestToRerror(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int32
	}{
		{context.DeadlineExceeded, tp.CodeTimeout},
		{os.ErrDeadlineExceeded, tp.CodeTimeout},
		{context.Canceled, tp.CodeCanceled},
		{net.ErrClosed, tp.CodeConnClosed},
		{io.EOF, tp.CodeConnClosed},
		{io.ErrUnexpectedEOF, tp.CodeInternalServerError},
		{errors.New("ouch"), tp.CodeInternalServerError},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("more: %w", tt.err)} {
			want := tp.Rerror{tt.code, tp.CodeText(tt.code), err.Error()}
			if got := tp.ToRerror(err); *got != want {
				t.Errorf("ToRerror(%v) = %v, want %v", err, got, &want)
			}
		}
	}
}

func FuzzRerrorUnmarshalJSON(f *testing.F) {
	f.Add([]byte(rerror2017))
	f.Add([]byte(`{"code":1,"message":"m\","detail":"d\"}`))
	for _, r := range []*tp.Rerror{
		nil, {}, tp.NewRerror(1001, "my error", `detail "q" \ back`), tp.NewRerror(-1, "世\n\x00", "\u2028<&>"),
	} {
		b, _ := r.MarshalJSON()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		var r tp.Rerror
		err := r.UnmarshalJSON(in)
		if !bytes.Equal(in, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if r != (tp.Rerror{}) {
				t.Fatalf("changed to %+v in spite of %v", r, err)
			}
			return
		}
		if !utf8.ValidString(r.Message) || !utf8.ValidString(r.Detail) {
			t.Fatalf("read as invalid UTF-8: %+v", r)
		}
		out, err := r.MarshalJSON()
		if err != nil || !json.Valid(out) {
			t.Fatalf("MarshalJSON() = %q, %v", out, err)
		}
		var again tp.Rerror
		if err := json.Unmarshal(out, &again); err != nil || again != r {
			t.Fatalf("%q was read again as %+v, %v, want %+v", out, again, err, r)
		}
		meta := new(utils.Args)
		r.SetToMeta(meta)
		if len(r.Message)+len(r.Detail) <= tp.MaxRerrorText/4 {
			if got := tp.NewRerrorFromMeta(meta); got == nil || *got != r {
				t.Fatalf("through meta: got %v, want %v", got, &r)
			}
		}
	})
}
