// Package protometa is the meta data of the library as the Protos other than FastProto
// see it: each has a place of its own for the error of a reply, and some cannot carry
// what two peers announce to each other.
package protometa

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/henrylee2cn/teleport/utils"
)

// Keys of meta data, which package tp defines and documents.
const (
	ErrorKey = "X-Reply-Error"
	CapsKey  = "X-Tp-Caps"
)

// Types of packets, which package tp defines and documents.
const (
	Pull  byte = 1
	Reply byte = 2
	Push  byte = 3
)

// codeBadPacket is CodeBadPacket of package tp.
const codeBadPacket = 400

// Error is the error of a reply: a Rerror of package tp.
type Error struct {
	Code    int32
	Message string
	Detail  string
}

// Has reports whether meta, which may be nil, has the error of a reply.
func Has(meta *utils.Args) bool { return meta != nil && len(meta.Peek(ErrorKey)) > 0 }

// From returns the error in meta, of which Has is true. One that cannot be read is an
// error all the same, as in package tp.
func From(meta *utils.Args) Error {
	value := meta.Peek(ErrorKey)
	e, err := Parse(value)
	if err != nil {
		return Error{codeBadPacket, "unreadable " + ErrorKey, strings.ToValidUTF8(string(value), "\uFFFD")}
	}
	return e
}

// Parse reads the JSON of an error: an object with at least the field code.
func Parse(b []byte) (Error, error) {
	var wire struct {
		Code    *int32 `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}
	if err := json.Unmarshal(b, &wire); err != nil {
		return Error{}, err
	}
	if wire.Code == nil {
		return Error{}, errors.New("no field code")
	}
	return Error{*wire.Code, wire.Message, wire.Detail}, nil
}

// JSON returns the error as JSON, in the form of package tp.
func (e Error) JSON() []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct { // such a struct always encodes
		Code    int32  `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}{e.Code, strings.ToValidUTF8(e.Message, "\uFFFD"), strings.ToValidUTF8(e.Detail, "\uFFFD")})
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// SetTo puts the error into meta.
func (e Error) SetTo(meta *utils.Args) { meta.SetBytesV(ErrorKey, e.JSON()) }

// Without returns meta without the pairs of the keys: meta itself, which may be nil, if
// it has none, and else a copy, since it may be the user's.
func Without(meta *utils.Args, keys ...string) *utils.Args {
	if meta == nil {
		return nil
	}
	out := meta
	for _, key := range keys {
		if !out.Has(key) {
			continue
		}
		if out == meta {
			out = new(utils.Args)
			meta.CopyTo(out)
		}
		out.Del(key)
	}
	return out
}
