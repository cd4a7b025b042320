package uri_test

import (
	"testing"

	"github.com/henrylee2cn/teleport/internal/uri"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][2]string{
		"/a/b":              {"/a/b", ""},
		"/a?b=%20&c":        {"/a", "b=%20&c"},
		"/a%20b?c":          {"/a b", "c"},
		"/a%3Fb?c":          {"/a?b", "c"},
		"/a#f":              {"/a", ""},
		"/a%20#f?b":         {"/a ", ""},
		"/a+b%2B?c":         {"/a+b+", "c"},
		"//a/b?c":           {"//a/b", "c"},
		"//a/b%20?c":        {"//a/b ", "c"}, // no host, as above
		"a?b":               {"a", "b"},
		"tp://host/a?b#f":   {"/a", "b"},
		"":                  {"", ""},
		"/\xff?":            {"/\xff", ""},
		"/a%E4%B8%96?x=1?2": {"/a世", "x=1?2"},
	} {
		if path, query, err := uri.Split(in); path != want[0] || query != want[1] || err != nil {
			t.Errorf("%q: got %q, %q, %v", in, path, query, err)
		}
	}
	for _, in := range []string{"/%zz", "/a%", "tp://%zz/a"} {
		if path, _, err := uri.Split(in); err == nil {
			t.Errorf("%q is taken for the path %q", in, path)
		}
	}
}

// What Join makes of a path and a query, Split parts into them again.
func FuzzJoin(f *testing.F) {
	f.Add("a", "b=c")
	f.Add("a?b", "")
	f.Add("a%20 #\x00世", "x=1?2")
	f.Fuzz(func(t *testing.T, path, query string) {
		joined := uri.Join("/"+path, query)
		if back, rest, err := uri.Split(joined); err != nil || back != "/"+path || rest != query {
			t.Errorf("%q and %q make %q, of %q and %q, %v", "/"+path, query, joined, back, rest, err)
		}
	})
}
