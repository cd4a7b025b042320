package utils_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/utils"
)

// list returns the pairs of a as "k=v" strings.
func list(a *utils.Args) []string {
	var pairs []string
	a.VisitAll(func(k, v []byte) { pairs = append(pairs, string(k)+"="+string(v)) })
	return pairs
}

func wantList(t *testing.T, a *utils.Args, want ...string) {
	t.Helper()
	if got := list(a); !slices.Equal(got, want) {
		t.Errorf("pairs: got %q, want %q", got, want)
	}
	if a.Len() != len(want) {
		t.Errorf("Len: got %d, want %d", a.Len(), len(want))
	}
}

func TestArgsChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(a *utils.Args)
		want   []string
	}{
		{"nothing", func(a *utils.Args) {}, []string{"a=1", "b=2", "a=3", "c="}},
		{"add", func(a *utils.Args) { a.Add("a", "4") }, []string{"a=1", "b=2", "a=3", "c=", "a=4"}},
		{"add bytes", func(a *utils.Args) {
			a.AddBytesK([]byte("x"), "1")
			a.AddBytesV("y", []byte("2"))
			a.AddBytesKV([]byte("z"), nil)
		}, []string{"a=1", "b=2", "a=3", "c=", "x=1", "y=2", "z="}},
		{"set first of two", func(a *utils.Args) { a.Set("a", "9") }, []string{"a=9", "b=2", "c="}},
		{"set bytes", func(a *utils.Args) {
			a.SetBytesK([]byte("a"), "7")
			a.SetBytesV("b", []byte("8"))
			a.SetBytesKV([]byte("c"), []byte("9"))
		}, []string{"a=7", "b=8", "c=9"}},
		{"set missing", func(a *utils.Args) { a.Set("d", "") }, []string{"a=1", "b=2", "a=3", "c=", "d="}},
		{"set to the value of another key", func(a *utils.Args) { a.SetBytesV("a", a.Peek("b")) }, []string{"a=2", "b=2", "c="}},
		{"del two", func(a *utils.Args) { a.Del("a") }, []string{"b=2", "c="}},
		{"del last", func(a *utils.Args) { a.DelBytes([]byte("c")) }, []string{"a=1", "b=2", "a=3"}},
		{"del missing", func(a *utils.Args) { a.Del("A") }, []string{"a=1", "b=2", "a=3", "c="}},
		{"reset", func(a *utils.Args) { a.Reset() }, nil},
		{"reset and add", func(a *utils.Args) { a.Reset(); a.Add("", "") }, []string{"="}},
		{"release", utils.ReleaseArgs, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := utils.AcquireArgs()
			a.Add("a", "1")
			a.Add("b", "2")
			a.Add("a", "3")
			a.Add("c", "")
			tt.change(a)
			wantList(t, a, tt.want...)
		})
	}
	utils.ReleaseArgs(nil)
}

func TestArgsLookup(t *testing.T) {
	var a utils.Args
	if a.Has("k") || a.HasBytes(nil) || a.Peek("k") != nil || a.PeekMulti("k") != nil || a.Len() != 0 {
		t.Error("an empty Args has something")
	}
	a.Add("k", "1")
	a.Add("e", "")
	a.Add("k", "2")
	if !a.Has("k") || !a.HasBytes([]byte("e")) || a.Has("K") {
		t.Error("Has: wrong answer")
	}
	if got := string(a.Peek("k")); got != "1" {
		t.Errorf("Peek: got %q, want 1", got)
	}
	if got := a.PeekBytes([]byte("e")); got == nil || len(got) != 0 {
		t.Errorf("PeekBytes of an empty value: got %v, want an empty slice that is not nil", got)
	}
	if got := fmt.Sprintf("%s", a.PeekMulti("k")); got != "[1 2]" {
		t.Errorf("PeekMulti: got %s, want [1 2]", got)
	}
	if got := a.PeekMultiBytes([]byte("none")); got != nil {
		t.Errorf("PeekMultiBytes of a missing key: got %v, want nil", got)
	}
}

func TestArgsOwnsItsBytes(t *testing.T) {
	key, value, query := []byte("key"), []byte("value"), []byte("p=1&q=%32")
	var a, b utils.Args
	a.AddBytesKV(key, value)
	b.ParseBytes(query)
	copy(key, "xxx")
	copy(value, "xxxxx")
	copy(query, "xxxxxxxxx")
	wantList(t, &a, "key=value")
	wantList(t, &b, "p=1", "q=2")
}

func TestArgsPeekedBytesStay(t *testing.T) {
	var a utils.Args
	a.Parse("k=first&l=other")
	k, l := a.Peek("k"), a.Peek("l")
	if cap(k) != len(k) {
		t.Errorf("a peeked slice has spare capacity: %d of %d bytes", len(k), cap(k))
	}
	for range 100 {
		a.Set("k", "SECOND")
		a.Del("l")
		a.Reset()
		a.Parse("k=THIRD&l=THIRD")
		utils.ReleaseArgs(&a)
		a.Add("x", "FOURTH")
	}
	if string(k) != "first" || string(l) != "other" {
		t.Errorf("peeked bytes changed to %q and %q", k, l)
	}
}

func TestArgsCopyTo(t *testing.T) {
	var a, b, none utils.Args
	a.Parse("a=1&b=2&a=3")
	b.Parse("x=y")
	a.CopyTo(&b)
	a.CopyTo(&a)
	wantList(t, &a, "a=1", "b=2", "a=3")
	a.Peek("a")[0] = '9' // forbidden to users; shows that nothing is shared
	a.Set("b", "8")
	wantList(t, &b, "a=1", "b=2", "a=3")
	none.CopyTo(&b)
	wantList(t, &b)
}

func TestArgsResetDropsLongList(t *testing.T) {
	var a utils.Args
	for i := range 1000 {
		a.Add("k", fmt.Sprint(i))
	}
	a.Reset()
	wantList(t, &a)
	a.Add("k", "v")
	wantList(t, &a, "k=v")
}

func TestArgsConcurrentReads(t *testing.T) {
	var a utils.Args
	a.Parse("n=7&f=1.5&b=true&k=1&k=2")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var dst utils.Args
			for range 100 {
				a.CopyTo(&dst)
				if a.String() != "n=7&f=1.5&b=true&k=1&k=2" || a.GetUintOrZero("n") != 7 || a.GetUfloatOrZero("f") != 1.5 ||
					!a.GetBool("b") || len(a.PeekMulti("k")) != 2 || len(a.QueryString()) != len(dst.AppendBytes(nil)) {
					t.Error("a concurrent read went wrong")
				}
			}
		})
	}
	wg.Wait()
}

func TestArgsAllocations(t *testing.T) {
	query := []byte("X-Trace=7f3a&tag=a%20b&n=5")
	var filled, empty, sink utils.Args
	filled.ParseBytes(query)
	dst := make([]byte, 0, 256)
	tests := []struct {
		name string
		most float64
		f    func()
	}{
		{"empty", 0, func() {
			empty.ParseBytes(nil)
			empty.Del("x")
			_, _ = empty.QueryString(), empty.String()
			_, _ = empty.Peek("x"), empty.Has("x")
			empty.CopyTo(&sink)
			empty.Reset()
		}},
		{"parse", 3, func() { a := new(utils.Args); a.ParseBytes(query) }}, // the Args, the bytes, the list
		{"copy", 3, func() { a := new(utils.Args); filled.CopyTo(a) }},
		{"copy again", 1, func() { filled.CopyTo(&sink) }},
		{"read", 0, func() { _, _ = filled.Peek("tag"), filled.GetUintOrZero("n"); dst = filled.AppendBytes(dst[:0]) }},
		{"query string", 1, func() { _ = filled.QueryString() }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}

func BenchmarkArgs(b *testing.B) {
	query := []byte("X-Trace=7f3a5c&X-Tp-Caps=1&tag=a%20b")
	var a utils.Args
	a.ParseBytes(query)
	dst := make([]byte, 0, 256)
	benchmarks := []struct {
		name string
		f    func()
	}{
		{"Parse", func() { var a utils.Args; a.ParseBytes(query) }},
		{"Peek", func() { _ = a.Peek("tag") }},
		{"AppendBytes", func() { dst = a.AppendBytes(dst[:0]) }},
		{"SetReset", func() { var a utils.Args; a.Set("k", "v"); a.Reset() }},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bm.f()
			}
		})
	}
}
