// Package ifsmaller is a transfer filter that goes around one which compresses, and
// leaves packets as they are where that does not help: those that are small, and
// those that would become no smaller, as of pictures or of what is encrypted. Which
// it was says the first byte of a packet. It is registered under an id of its own:
//
//	import (
//		"github.com/henrylee2cn/teleport/xfer/ifsmaller"
//		"github.com/henrylee2cn/teleport/xfer/zstd"
//	)
//
//	filter, err := ifsmaller.New(&ifsmaller.Config{Id: 'Z', Filter: zstd.ID})
//	…
//	xfer.Reg(filter)
//	sess.Pull("/report", &query, &report, tp.WithXferPipe('Z'))
//
// It is a filter, and no rule for when to use one, since a reply takes the filters of
// its pull: a small question without any would get a large answer uncompressed.
package ifsmaller

import (
	"errors"
	"fmt"

	"github.com/henrylee2cn/teleport/xfer"
)

// DefaultMinSize is the MinSize of a Config that has none: 512 bytes.
const DefaultMinSize = 512

// The first byte of a packet.
const (
	asItIs     = 0
	compressed = 1
)

// Config configures a Filter.
type Config struct {
	// Id is the id of the filter. By custom it is the capital letter of the id of
	// Filter: 'G' around gzip, 'Z' around zstd, 'S' around s2. It is required.
	Id byte
	// Filter is the id of the filter that compresses. It must be registered when New
	// is called, and both sides must have the same there. It is required.
	Filter byte
	// MinSize is the size in bytes from which on compression is tried. 0 means
	// DefaultMinSize, a negative one any size. The sides need not agree.
	MinSize int
}

// Filter compresses packets by another filter if that makes them smaller. A packet is
//
//	1 byte   0: as it is; 1: compressed
//	n bytes  the packet, or what the other filter made of it
//
// A Filter has no state, and is as safe for concurrent use as the other one.
type Filter struct {
	id      byte
	minSize int
	inner   xfer.XferFilter
}

var (
	_ xfer.XferFilter    = (*Filter)(nil)
	_ xfer.LimitUnpacker = (*Filter)(nil)
)

// errMark is the error about a packet that does not begin with one of the two bytes.
var errMark = errors.New("ifsmaller: the packet says neither that it is compressed nor that it is not")

// New returns a Filter, or an error that names the field which is wrong. Register it
// with xfer.Reg.
func New(config *Config) (*Filter, error) {
	if config == nil || config.Id == 0 {
		return nil, errors.New("ifsmaller: Id: choose one")
	}
	inner, err := xfer.Get(config.Filter)
	if err != nil {
		return nil, fmt.Errorf("ifsmaller: Filter: %w", err)
	}
	if config.Filter == config.Id {
		return nil, errors.New("ifsmaller: Filter: it is this one: choose another")
	}
	f := &Filter{id: config.Id, minSize: config.MinSize, inner: inner}
	if f.minSize == 0 {
		f.minSize = DefaultMinSize
	}
	return f, nil
}

// Id returns the id of the filter.
func (f *Filter) Id() byte { return f.id }

// OnPack returns src after a byte that says how: compressed if src is large enough
// and that is shorter, else as it is.
func (f *Filter) OnPack(src []byte) ([]byte, error) {
	if len(src) >= f.minSize {
		packed, err := f.inner.OnPack(src)
		if err != nil {
			return nil, err
		}
		if len(packed) < len(src) {
			return mark(compressed, packed), nil
		}
	}
	return mark(asItIs, src), nil
}

func mark(how byte, b []byte) []byte {
	return append(append(make([]byte, 0, 1+len(b)), how), b...)
}

// OnUnpack returns what was packed to make src, as far as the other filter allows.
func (f *Filter) OnUnpack(src []byte) ([]byte, error) {
	return f.unpack(src, -1)
}

// OnUnpackLimit returns what was packed to make src, at most max bytes: if there are
// more, the error wraps xfer.ErrExceedLimit. A filter inside that knows no limits is
// measured afterwards.
func (f *Filter) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if max < 0 {
		max = 0
	}
	return f.unpack(src, max)
}

// unpack unpacks with a limit, if max is not negative.
func (f *Filter) unpack(src []byte, max int) (dst []byte, err error) {
	if len(src) == 0 {
		return nil, errMark
	}
	switch how, rest := src[0], src[1:]; how {
	case asItIs:
		dst = rest[:len(rest):len(rest)]
	case compressed:
		if limited, ok := f.inner.(xfer.LimitUnpacker); ok && max >= 0 {
			dst, err = limited.OnUnpackLimit(rest, max)
		} else {
			dst, err = f.inner.OnUnpack(rest)
		}
	default:
		err = errMark
	}
	if err != nil {
		return nil, err
	}
	if max >= 0 && len(dst) > max {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", xfer.ErrExceedLimit, len(dst), max)
	}
	return dst, nil
}
