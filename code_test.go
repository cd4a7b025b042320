package tp_test

import (
	"testing"

	tp "github.com/henrylee2cn/teleport"
)

func TestCodeText(t *testing.T) {
	codes := []int32{
		tp.CodeConnClosed, tp.CodeWriteFailed, tp.CodeDialFailed, tp.CodeBadPacket, tp.CodeUnauthorized,
		tp.CodeNotFound, tp.CodePtypeNotAllowed, tp.CodeTimeout, tp.CodeCanceled, tp.CodeInternalServerError,
		tp.CodeNotImplemented, tp.CodeBadGateway, tp.CodeServiceUnavailable,
	}
	seen := make(map[string]int32)
	for _, code := range codes {
		text := tp.CodeText(code)
		if other, ok := seen[text]; ok || text == "" {
			t.Errorf("CodeText(%d) = %q, as for %d", code, text, other)
		}
		seen[text] = code
	}
	if got := tp.CodeText(1001); got != "" {
		t.Errorf("CodeText(1001) = %q, want nothing", got)
	}
}
