package sniff_test

import (
	"strings"
	"testing"

	"github.com/henrylee2cn/teleport/proto/sniff"
)

var matchers = map[string]sniff.Matcher{
	"fast": sniff.Fast, "raw": sniff.Raw, "tls": sniff.TLS, "json": sniff.JSON,
	"http": sniff.HTTP, "websocket": sniff.WebSocket, "prefix": sniff.Prefix("PRI * HTTP/2.0", "SSH-"),
}

// openings are first bytes, and which matchers say yes to them.
var openings = []struct{ name, bytes, yes string }{
	{"fast", "\x00\x00\x00\x1cf\x00\x00\x00\x00\x00\x00\x00\x00\x09\x01\x00\x00\x00\x02/a\x00\x00\x00\x00shi", "fast"},
	{"fast of 255 MiB", "\x0f\xff\xff\xfff\x00", "fast"},
	{"fast of 256 MiB", "\x10\x00\x00\x00f\x00", ""},
	{"raw", "\x00\x00\x00\x20\x00\x01\x00\x00\x00\x01\x02/a", "raw"},
	{"raw with a filter", "\x00\x00\x00\x20\x01g\x01\x00\x00\x00\x01\x02/a", "raw"},
	{"too many filters", "\x00\x00\x00\x20\x11", ""},
	{"tls 1.3", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"},
	{"tls whose length is f", "\x16\x03\x03\x01f\x01\x00", "tls"},
	{"tls that is no hello", "\x16\x03\x03\x00\x40\x02\x00", ""},
	{"tls alert", "\x15\x03\x03\x00\x02\x02\x28", ""},
	{"json", `{"uri":"/a"}`, "json"},
	{"json after space", "\r\n\t {", "json"},
	{"json array", `[{}]`, ""},
	{"http 1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http"},
	{"http 1.0", "M-SEARCH * HTTP/1.0\n\n", "http"},
	{"http with a space in its target", "GET /a b HTTP/1.1\r\n\r\n", "http"},
	{"http 0.9", "GET /\r\n", ""},
	{"http 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "prefix"},
	{"no target", "GET HTTP/1.1\r\n", ""},
	{"no method", " / HTTP/1.1\r\n", ""},
	{"lower case", "get / HTTP/1.1\r\n", ""},
	{"long method", strings.Repeat("A", 33) + " / HTTP/1.1\r\n", ""},
	{"websocket", "GET /tp HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "http websocket"},
	{"websocket among others", "GET /tp HTTP/1.1\nupgrade:h2c , WebSocket\n\n", "http websocket"},
	{"another upgrade", "GET /tp HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "http"},
	{"websocket in the body", "GET /tp HTTP/1.1\r\nHost: a\r\n\r\nUpgrade: websocket\r\n\r\n", "http"},
	{"websocket by POST", "POST /tp HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "http"},
	{"ssh", "SSH-2.0-Go\r\n", "prefix"},
	{"nothing known", "\xff\xff\xff\xff\xff\xff\xff\xff", ""},
}

func TestMatchers(t *testing.T) {
	for _, o := range openings {
		for name, match := range matchers {
			want := sniff.No
			for yes := range strings.SplitSeq(o.yes, " ") {
				if yes == name {
					want = sniff.Yes
				}
			}
			// At each byte it has not changed its mind.
			last := sniff.More
			for n := 1; n <= len(o.bytes); n++ {
				got := match([]byte(o.bytes[:n]))
				if last != sniff.More && got != last {
					t.Errorf("%s says %v of %d bytes of %s, and then %v", name, last, n-1, o.name, got)
				}
				last = got
			}
			if last != want {
				t.Errorf("%s says %v of %s, want %v", name, last, o.name, want)
			}
		}
		if sniff.Any([]byte(o.bytes)) != sniff.Yes {
			t.Errorf("%s is not any", o.name)
		}
	}
	if s := sniff.More.String() + sniff.Yes.String() + sniff.No.String() + sniff.Verdict(9).String(); s != "moreyesnoVerdict(9)" {
		t.Errorf("the verdicts are %s", s)
	}
}

// A Matcher that has made up its mind stays with it, whatever follows.
func FuzzMatchers(f *testing.F) {
	for _, o := range openings {
		f.Add([]byte(o.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, match := range matchers {
			last := sniff.More
			for n := 1; n <= len(b); n++ {
				got := match(b[:n])
				if got != sniff.More && got != sniff.Yes && got != sniff.No || last != sniff.More && got != last {
					t.Fatalf("%s says %v of %q and %v of %q", name, last, b[:n-1], got, b[:n])
				}
				last = got
			}
		}
	})
}
