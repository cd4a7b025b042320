package tp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/henrylee2cn/teleport/utils"
)

// MetaRerrorKey is the key in a reply's meta under which its error travels, as
// JSON. A reply without it is a success.
const MetaRerrorKey = "X-Reply-Error"

// MaxRerrorText is how many bytes of text (Message and Detail together) an
// error takes along in the meta of a reply: 4 KiB. SetToMeta cuts what is
// longer.
const MaxRerrorText = 4 << 10

// maxRerrorEncoded bounds the same text as it is written, JSON inside a
// urlencoded value: MaxRerrorText where each byte becomes three, as in %E4.
// Without it, 4 KiB of quotation marks would overrun the limit of the meta.
const maxRerrorEncoded = 3 * MaxRerrorText

// Rerror is the error of an exchange: what a handler or plugin returns, and
// what the caller gets. It is data, safe to read concurrently as long as nobody
// changes it. A nil *Rerror means success.
//
// *Rerror is deliberately no error: a nil *Rerror stored in an error would not
// be nil. ToError and ToRerror cross over.
type Rerror struct {
	// Code tells programs what happened: one of the Code constants of this
	// package, or the program's own.
	Code int32
	// Message tells people what happened.
	Message string
	// Detail helps to find out why. It may be empty.
	Detail string
}

var (
	_ json.Marshaler   = (*Rerror)(nil)
	_ json.Unmarshaler = (*Rerror)(nil)
	_ fmt.Stringer     = (*Rerror)(nil)
)

// NewRerror returns an error with the code and the message. Several details
// become one, joined by newlines.
func NewRerror(code int32, message string, detail ...string) *Rerror {
	return &Rerror{Code: code, Message: message, Detail: strings.Join(detail, "\n")}
}

// NewRerrorFromMeta returns the error that travels in meta under MetaRerrorKey.
// It returns nil when there is none: meta is nil, the key is absent, or its
// value is empty. A value that UnmarshalJSON cannot read still means that the
// exchange failed, and gives a CodeBadPacket error with the value as Detail.
// Nothing in the result aliases meta.
func NewRerrorFromMeta(meta *utils.Args) *Rerror {
	if meta == nil {
		return nil
	}
	value := meta.Peek(MetaRerrorKey)
	if len(value) == 0 {
		return nil
	}
	r := new(Rerror)
	if err := r.read(value); err != nil {
		return NewRerror(CodeBadPacket, "unreadable "+MetaRerrorKey, strings.ToValidUTF8(string(value), "\uFFFD"))
	}
	return r
}

// Copy returns a new Rerror with the same fields.
func (r Rerror) Copy() *Rerror { return &r }

// String returns the error as JSON, as MarshalJSON does, and "<nil>" for nil.
func (r *Rerror) String() string {
	if r == nil {
		return "<nil>"
	}
	return string(r.appendJSON(nil))
}

// MarshalJSON returns {"code":int32,"message":"..","detail":".."}, the fields
// always in this order and always all three, and null for nil. Characters such
// as '<' are not escaped; json.Marshal, which calls this, does so afterwards
// unless told otherwise. Bytes that are no UTF-8 become U+FFFD. The error is
// always nil.
func (r *Rerror) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r.appendJSON(nil), nil
}

// UnmarshalJSON reads what MarshalJSON writes: an object with at least the
// field code; fields that it does not know are ignored. As the json package
// asks, null changes nothing. On an error r is unchanged.
//
// What is no JSON is read once more as a teleport program of 2017 writes it:
// in the form of MarshalJSON, but with the quotation mark as the only character
// that is escaped, so that backslashes and newlines stand for themselves. Text
// of such a program that happens to be JSON, like a detail `C:\new`, cannot be
// told apart and is read as JSON. Only direct calls come that far: json.Unmarshal
// refuses invalid JSON before it calls.
func (r *Rerror) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	return r.read(b)
}

// SetToMeta puts the error into meta under MetaRerrorKey, where
// NewRerrorFromMeta of the other side finds it. A nil r changes nothing.
//
// Message and Detail together are cut, Detail first, to MaxRerrorText bytes, and
// further when they hold so many characters which need escaping that they would
// take more than three times as much on the wire. A character is never cut in
// two.
func (r *Rerror) SetToMeta(meta *utils.Args) { r.setToMeta(meta, maxRerrorEncoded) }

// setToMeta is SetToMeta with a bound of its own for the text as it is written.
func (r *Rerror) setToMeta(meta *utils.Args, encoded int) {
	if r == nil || meta == nil {
		return
	}
	text := MaxRerrorText
	short := Rerror{Code: r.Code}
	short.Message = cutText(r.Message, &text, &encoded)
	short.Detail = cutText(r.Detail, &text, &encoded)
	meta.SetBytesV(MetaRerrorKey, short.appendJSON(nil))
}

// What the Detail of an error begins with if the pull or push was certainly not
// executed.
const (
	sentPrefix     = "not sent: "
	executedPrefix = "not executed: "
)

// resentPrefix is what the Detail begins with if that holds only for the last
// connection on which the pull was tried.
const resentPrefix = "sent before, on a connection that was lost; now: "

// notSent returns the error of a pull or push that did not leave this side.
func notSent(code int32, detail string) *Rerror {
	return NewRerror(code, CodeText(code), sentPrefix+detail)
}

// notExecuted returns the answer to a pull that had no turn.
func notExecuted(code int32, detail string) *Rerror {
	return NewRerror(code, CodeText(code), executedPrefix+detail)
}

// executed returns r as the answer of a handler. It may be the error of a pull that the
// handler has sent on: that this one was not sent or not executed does not say so of the
// handler. One of unknown paths may know that it did nothing: a proxy has nothing else to
// do than to send on.
func (r *Rerror) executed(unknown bool) *Rerror {
	switch {
	case r == nil:
		return nil
	case strings.HasPrefix(r.Detail, sentPrefix):
	case strings.HasPrefix(r.Detail, executedPrefix) && !unknown:
	default:
		return r
	}
	passed := *r
	passed.Detail = "from the handler: " + r.Detail
	return &passed
}

// MaybeSent reports whether a pull or push that failed with r may have reached the
// handler of the other side all the same, so that sending it again may execute it
// twice. It is false if this side did not send it (its Detail begins with "not
// sent: "), if the other side says that it did not execute it ("not executed: "),
// and for CodeDialFailed, CodeNotFound, CodePtypeNotAllowed, CodeNotImplemented
// and CodeServiceUnavailable, which say so by themselves, unless it was sent before
// on another connection (see WithIdempotent of package socket). Of a code of the user's
// own, from a handler or a plugin, the library cannot know: it is true. A handler that
// answers with one of those five has to mean that nothing was done, and so has one of
// unknown paths, such as a proxy, that answers with a Detail which begins with "not
// executed: ". That of any other handler gets another beginning.
func (r *Rerror) MaybeSent() bool {
	if r == nil || strings.HasPrefix(r.Detail, resentPrefix) {
		return true
	}
	switch r.Code {
	case CodeDialFailed, CodeNotFound, CodePtypeNotAllowed, CodeNotImplemented, CodeServiceUnavailable:
		return false
	}
	return !strings.HasPrefix(r.Detail, sentPrefix) && !strings.HasPrefix(r.Detail, executedPrefix)
}

// ToError returns r as an error, and nil for nil. The error keeps a copy of r,
// which ToRerror gives back. It is a net.Error whose Timeout is true for
// CodeTimeout, and errors.Is finds in it
//
//   - net.ErrClosed for CodeConnClosed,
//   - context.DeadlineExceeded and os.ErrDeadlineExceeded for CodeTimeout,
//   - context.Canceled for CodeCanceled.
func (r *Rerror) ToError() error {
	if r == nil {
		return nil
	}
	return &rerrorError{*r}
}

// ToRerror returns err as a *Rerror, and nil for nil. An error that ToError
// made, wrapped or not, gives back what it was made of; text that wraps it is
// lost. Any other error becomes the Detail of
//
//   - CodeTimeout when it is context.DeadlineExceeded or os.ErrDeadlineExceeded,
//   - CodeCanceled when it is context.Canceled,
//   - CodeConnClosed when it is net.ErrClosed or io.EOF,
//   - CodeInternalServerError otherwise.
func ToRerror(err error) *Rerror {
	if err == nil {
		return nil
	}
	if e := (*rerrorError)(nil); errors.As(err, &e) {
		return e.rerror.Copy()
	}
	code := int32(CodeInternalServerError)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		code = CodeTimeout
	case errors.Is(err, context.Canceled):
		code = CodeCanceled
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
		code = CodeConnClosed
	}
	return NewRerror(code, CodeText(code), err.Error())
}

// rerrorError is a Rerror as an error.
type rerrorError struct{ rerror Rerror }

var _ net.Error = (*rerrorError)(nil)

// Error returns "message: detail (code)", without what is empty.
func (e *rerrorError) Error() string {
	text := e.rerror.Message
	if text == "" {
		text = CodeText(e.rerror.Code)
	}
	if text != "" && e.rerror.Detail != "" {
		text += ": "
	}
	text += e.rerror.Detail
	if text == "" {
		text = "error"
	}
	return text + " (" + strconv.Itoa(int(e.rerror.Code)) + ")"
}

// Is lets errors.Is find the standard library's error for the code.
func (e *rerrorError) Is(target error) bool {
	switch e.rerror.Code {
	case CodeConnClosed:
		return target == net.ErrClosed
	case CodeTimeout:
		return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
	case CodeCanceled:
		return target == context.Canceled
	default:
		return false
	}
}

// Timeout makes it a net.Error.
func (e *rerrorError) Timeout() bool { return e.rerror.Code == CodeTimeout }

// Temporary makes it a net.Error, whose documentation advises against it.
func (e *rerrorError) Temporary() bool { return e.Timeout() }

// appendJSON appends what MarshalJSON returns.
func (r *Rerror) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(r.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = appendJSONString(dst, r.Message)
	dst = append(dst, `,"detail":`...)
	dst = appendJSONString(dst, r.Detail)
	return append(dst, '}')
}

// appendJSONString appends s as the json package writes it with HTML escaping
// switched off.
func appendJSONString(dst []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return append(dst, `""`...) // not reached: a string always encodes
	}
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// read is UnmarshalJSON without the exception for null.
func (r *Rerror) read(b []byte) error {
	var wire struct {
		Code    *int32 `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}
	err := json.Unmarshal(b, &wire)
	if err == nil && wire.Code == nil {
		err = errors.New("no field code")
	}
	if err == nil {
		*r = Rerror{Code: *wire.Code, Message: wire.Message, Detail: wire.Detail}
		return nil
	}
	if old, ok := parse2017(string(b)); ok {
		*r = old
		return nil
	}
	return fmt.Errorf("tp: unreadable Rerror: %w", err)
}

// parse2017 reads {"code":N,"message":"M","detail":"D"} where M and D are raw
// but for the quotation mark, which is \". An unescaped mark ends the text, so
// the separators below cannot occur inside of it.
func parse2017(s string) (Rerror, bool) {
	s, ok := strings.CutPrefix(s, `{"code":`)
	if !ok {
		return Rerror{}, false
	}
	digits, s, ok := strings.Cut(s, `,"message":"`)
	if !ok {
		return Rerror{}, false
	}
	message, s, ok := strings.Cut(s, `","detail":"`)
	if !ok {
		return Rerror{}, false
	}
	detail, ok := strings.CutSuffix(s, `"}`)
	if !ok {
		return Rerror{}, false
	}
	code, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return Rerror{}, false
	}
	r := Rerror{Code: int32(code)}
	if r.Message, ok = unquote2017(message); !ok {
		return Rerror{}, false
	}
	r.Detail, ok = unquote2017(detail)
	return r, ok
}

// unquote2017 replaces each \" by the mark alone, and refuses a mark that no
// backslash precedes.
func unquote2017(s string) (string, bool) {
	for i := range len(s) {
		if s[i] == '"' && (i == 0 || s[i-1] != '\\') {
			return "", false
		}
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, `\"`, `"`), "\uFFFD"), true
}

// cutText returns the longest beginning of s, in whole characters, that fits in
// both budgets, and takes it off them. When something was cut off, nothing is
// left of them, so that no later text follows a gap.
func cutText(s string, text, encoded *int) string {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		cost := encodedSize(r, size)
		if size > *text || cost > *encoded {
			*text, *encoded = 0, 0
			return s[:i]
		}
		*text -= size
		*encoded -= cost
		i += size
	}
	return s
}

// encodedSize tells how many bytes the character takes on the wire: escaped for
// JSON, then urlencoded. It never says too few.
func encodedSize(r rune, size int) int {
	switch {
	case r == '"' || r == '\\':
		return len("%5C%22")
	case r < ' ', r == '\u2028', r == '\u2029', r == utf8.RuneError && size == 1:
		return len("%5Cu0000")
	case r >= utf8.RuneSelf:
		return 3 * size
	case len(url.QueryEscape(string(r))) == 1 && r != ' ':
		return 1
	default:
		return len("%20")
	}
}
