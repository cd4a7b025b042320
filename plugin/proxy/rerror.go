package proxy

import (
	"strings"

	tp "github.com/henrylee2cn/teleport"
)

// Codes that follow HTTP, beside those of package tp.
const (
	// CodeGatewayTimeout says that the backend did not answer in Config.Timeout.
	CodeGatewayTimeout = 504
	// CodeLoopDetected says that a pull or push came through the same proxy twice, or
	// through too many.
	CodeLoopDetected = 508
)

// What the Detail of an error begins with if nothing was executed: see
// tp.Rerror.MaybeSent.
const (
	sentPrefix     = "not sent: "
	executedPrefix = "not executed: "
)

func codeText(code int32) string {
	switch code {
	case CodeGatewayTimeout:
		return "Gateway Timeout"
	case CodeLoopDetected:
		return "Loop Detected"
	}
	return tp.CodeText(code)
}

// notExecuted returns an error of the proxy for what went nowhere.
func notExecuted(code int32, detail string) *tp.Rerror {
	return tp.NewRerror(code, codeText(code), executedPrefix+"proxy: "+detail)
}

// ofChoice returns the error of a BackendFunc: whatever it says of what else was tried,
// this pull or push went nowhere.
func ofChoice(rerr *tp.Rerror) *tp.Rerror {
	if rerr.Code == tp.CodeDialFailed {
		return notExecuted(tp.CodeBadGateway, rerr.ToError().Error())
	}
	if strings.HasPrefix(rerr.Detail, executedPrefix) {
		return rerr
	}
	detail := rerr.Detail
	if detail == "" {
		detail = "proxy: refused"
	}
	return tp.NewRerror(rerr.Code, rerr.Message, executedPrefix+detail)
}

// ofLaunch returns the error of a pull whose answer did not come, or came and was of no
// use.
func ofLaunch(rerr *tp.Rerror, answered bool) *tp.Rerror {
	code := int32(tp.CodeBadGateway)
	switch rerr.Code {
	case tp.CodeTimeout:
		code = CodeGatewayTimeout
	case tp.CodeCanceled:
		code = tp.CodeCanceled
	}
	detail := "proxy: " + rerr.ToError().Error()
	if !answered && !rerr.MaybeSent() {
		detail = executedPrefix + detail
	}
	return tp.NewRerror(code, codeText(code), detail)
}

// ofReply returns the error of a reply, for the client: as it is, unless it would say
// of itself that nothing was executed where it can only mean another call, which the
// handler made. "Not sent" is what nobody can say in an answer.
func ofReply(rerr *tp.Rerror) *tp.Rerror {
	if !strings.HasPrefix(rerr.Detail, sentPrefix) && rerr.Code != tp.CodeDialFailed {
		return rerr
	}
	marked := tp.NewRerror(rerr.Code, rerr.Message, "the backend: "+rerr.Detail)
	if !marked.MaybeSent() { // the code says so
		marked = tp.NewRerror(tp.CodeBadGateway, codeText(tp.CodeBadGateway), "the backend: "+rerr.ToError().Error())
	}
	return marked
}
