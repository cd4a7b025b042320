package tp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

// wallClock are the methods of time.Time that drop or do without its reading of the
// monotonic clock: what is computed from them is wrong when somebody sets the clock.
// time.Now, Add, Sub, Before, After, time.Since and timers keep to it, and so do the
// deadlines of package net and the contexts.
var wallClock = []string{
	"Round", "Truncate", "UTC", "Local", "In", "AddDate", "Date", "Unix", "UnixMilli", "UnixMicro", "UnixNano",
	"GobEncode", "MarshalBinary", "MarshalJSON", "MarshalText",
}

// No bound, deadline or cost is computed from the wall clock, so that setting the
// clock of the machine touches no session. The time of day is for the log only, and
// for certificates. What goes over the wire is how much time is left.
func TestClockJumpsTouchNothing(t *testing.T) {
	files := 0
	for _, dir := range []string{".", "socket", "xfer", "codec", "utils", "internal/notice"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files++
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, use := range wallClockUses(t, name, src) {
				t.Errorf("%s: the wall clock is used", use)
			}
		}
	}
	if files < 50 {
		t.Errorf("only %d files were looked at", files)
	}
	wrong := "package p\nimport \"time\"\nfunc f() int64 { return time.Now().UnixNano() + time.Now().Round(0).Unix() }\n"
	if uses := wallClockUses(t, "wrong.go", []byte(wrong)); len(uses) != 3 {
		t.Errorf("in a file with three uses these were found: %v", uses)
	}
}

// wallClockUses returns where a file that imports time calls such methods.
func wallClockUses(t *testing.T, name string, src []byte) (uses []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	imports := false
	for _, spec := range file.Imports {
		imports = imports || spec.Path.Value == `"time"`
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !imports {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		for _, wall := range wallClock {
			if method.Sel.Name == wall {
				uses = append(uses, set.Position(call.Pos()).String()+" "+wall)
			}
		}
		return true
	})
	return uses
}

// Sequence numbers at the ends of their range are numbers like others: pulls are
// answered, cancelled and refused by them, and a reply finds no other pull.
func TestSequenceNumbersAtTheirEnds(t *testing.T) {
	srv := newPeer(t, tp.PeerConfig{})
	running, ended := waits(srv)
	echo(srv)
	w := dialWire(t, serve(t, srv))
	w.send(frame{ptype: tp.TypePing}) // it understands CANCEL
	for w.next().ptype != tp.TypePong {
	}
	for _, seq := range []uint64{math.MaxUint64, 0, math.MaxUint64 - 1, 1 << 63, math.MaxUint32, 1 << 32, 1 << 16} {
		w.send(jsonPull(seq, "/echo", "1"), jsonPull(seq, "/nowhere", "1"))
		for range 2 {
			if f := w.next(); f.seq != seq || f.ptype != tp.TypeReply {
				t.Errorf("to pull %d: %+v", seq, f)
			}
		}
		w.send(jsonPull(seq, "/wait", ""))
		receive(t, running)
		w.send(frame{ptype: tp.TypeCancel, seq: seq})
		receive(t, ended)
		if f := w.next(); f.seq != seq || f.rerror(t) == nil {
			t.Errorf("to the cancelled pull %d: %+v", seq, f)
		}
	}

	sess, other := dialedWire(t, newPeer(t, tp.PeerConfig{}))
	done := make(chan *tp.PullCmd, 1)
	var got int
	sess.GoPull("/x", nil, &got, done)
	pull := other.next()
	for _, seq := range []uint64{math.MaxUint64, pull.seq - 1, pull.seq + 1, pull.seq + 1<<12, pull.seq + 1<<16, pull.seq + 1<<32, pull.seq + 1<<63} {
		other.send(frame{ptype: tp.TypeReply, seq: seq, codec: 'j', body: "666"})
	}
	other.send(pull.replyTo("", "7"))
	noRerror(t, receive(t, done).Rerror())
	if got != 7 {
		t.Errorf("got %d, the reply to another pull", got)
	}
}
