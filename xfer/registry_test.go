package xfer_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/henrylee2cn/teleport/xfer"
)

func TestGet(t *testing.T) {
	f, err := xfer.Get('g')
	if _, ok := f.(*xfer.Gzip); !ok || err != nil {
		t.Errorf("Get('g'): got %T, %v, want a *Gzip", f, err)
	}
	for id, want := range map[byte]string{'?': "'?' (63)", 0: "id 0", 200: "id 200"} {
		if f, err := xfer.Get(id); f != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Get(%d): got %v, %v, want an error with %q", id, f, err, want)
		}
	}
}

func TestReg(t *testing.T) {
	register(t, tagFilter('a'))
	tests := []struct {
		name string
		f    func()
		want string
	}{
		{"nil", func() { xfer.Reg(nil) }, "nil filter"},
		{"taken", func() { xfer.Reg(panicFilter{tagFilter: 'a'}) }, "id 'a' (97) belongs to xfer_test.tagFilter"},
		{"taken by gzip", func() { xfer.Reg(new(xfer.Gzip)) }, "belongs to *xfer.Gzip"},
		{"replace by nil", func() { xfer.Replace(nil) }, "nil filter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if got, ok := recover().(string); !ok || !strings.Contains(got, tt.want) {
					t.Errorf("got panic %q, want one with %q", got, tt.want)
				}
			}()
			tt.f()
		})
	}
	if f, err := xfer.Get('a'); f != tagFilter('a') || err != nil {
		t.Errorf("Get after a refused Reg: got %v, %v", f, err)
	}
}

func TestReplace(t *testing.T) {
	t.Cleanup(func() { xfer.Unreg('a') })
	if old := xfer.Replace(tagFilter('a')); old != nil {
		t.Errorf("Replace of a free id: got %v, want nil", old)
	}
	pipe := pipeOf(t, 'a')
	if old := xfer.Replace(doubleFilter{'a'}); old != tagFilter('a') {
		t.Errorf("Replace: got %v, want the first filter", old)
	}
	if f, _ := xfer.Get('a'); f != (doubleFilter{'a'}) {
		t.Errorf("Get: got %v, want the second filter", f)
	}
	if got, err := pipe.OnUnpack([]byte("ax")); string(got) != "x" || err != nil {
		t.Errorf("a pipe from before: got %q, %v, want x", got, err)
	}
}

func TestRegConcurrent(t *testing.T) {
	t.Cleanup(func() { xfer.Unreg('a') })
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = xfer.Get('a')
			xfer.Reg(tagFilter('a'))
			mu.Lock()
			won++
			mu.Unlock()
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 8 registered the same id, want 1", won)
	}
}

// Who misses a filter of this repository is told what to import, or to register.
func TestGetNamesTheImport(t *testing.T) {
	for id, want := range map[byte]string{
		'c': `import _ "github.com/henrylee2cn/teleport/xfer/crc32c"`,
		'm': `import _ "github.com/henrylee2cn/teleport/xfer/md5"`,
		's': `import _ "github.com/henrylee2cn/teleport/xfer/s2"`,
		'z': `import _ "github.com/henrylee2cn/teleport/xfer/zstd"`,
		'a': `register one of github.com/henrylee2cn/teleport/xfer/aesgcm with xfer.Reg`,
	} {
		if _, err := xfer.Get(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", id, err, want)
		}
	}
}
