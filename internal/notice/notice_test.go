package notice_test

import (
	"testing"

	"github.com/henrylee2cn/teleport/internal/notice"
)

func TestNotice(t *testing.T) {
	var n notice.Notice
	n.Tell() // nobody waits
	first := n.Wait()
	if n.Wait() != first {
		t.Error("who waits for one change has two channels")
	}
	select {
	case <-first:
		t.Fatal("told before there was a change")
	default:
	}
	n.Tell()
	<-first
	select {
	case <-n.Wait():
		t.Error("told of a change that was before")
	default:
	}
}
