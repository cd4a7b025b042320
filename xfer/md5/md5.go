// Package md5 is the transfer filter 'm', a checksum for programs that speak with
// peers of erpc, which teleport became: they have it as xfer/md5, registered under
// an id of their choice, 'm' in its manual. Importing it registers it:
//
//	import "github.com/henrylee2cn/teleport/xfer/md5"
//
//	sess.Pull("/add", args, &sum, tp.WithXferPipe(md5.ID))
//
// Where both sides are teleport, take package crc32c: it is shorter and faster, and
// this one protects no better, since it has no key. Against people who change
// packets there is package aesgcm.
package md5

import (
	"crypto/md5"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/henrylee2cn/teleport/xfer"
)

// ID is the id of the filter.
const ID = 'm'

// ErrMismatch is wrapped by the error about a packet that does not fit its checksum.
var ErrMismatch = errors.New("md5: the checksum does not match")

// Filter ends a packet with the MD5 sum (RFC 1321) of its bytes, as it is, in 16
// bytes. It has no state. To have it under another id, embed it in a type with an
// Id method of its own, and register that with xfer.Reg.
type Filter struct{}

var (
	_ xfer.XferFilter    = Filter{}
	_ xfer.LimitUnpacker = Filter{}
)

func init() { xfer.Reg(Filter{}) }

// Id returns ID.
func (Filter) Id() byte { return ID }

// OnPack returns src and its checksum.
func (Filter) OnPack(src []byte) ([]byte, error) {
	sum := md5.Sum(src)
	dst := make([]byte, 0, len(src)+len(sum))
	dst = append(dst, src...)
	return append(dst, sum[:]...), nil
}

// OnUnpack returns src without its checksum, which must match.
func (Filter) OnUnpack(src []byte) ([]byte, error) {
	n := len(src) - md5.Size
	if n < 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, the packet %d", ErrMismatch, md5.Size, len(src))
	}
	sum := md5.Sum(src[:n])
	if subtle.ConstantTimeCompare(sum[:], src[n:]) != 1 {
		return nil, ErrMismatch
	}
	return src[:n:n], nil
}

// OnUnpackLimit is OnUnpack for a result of at most max bytes.
func (f Filter) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if n := len(src) - md5.Size; n > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", xfer.ErrExceedLimit, n, max)
	}
	return f.OnUnpack(src)
}
