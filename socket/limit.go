package socket

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/henrylee2cn/teleport/xfer"
)

// ErrExceedPacketSizeLimit says that a packet is larger than is allowed. The
// errors that are returned wrap it and name both sizes: use errors.Is.
var ErrExceedPacketSizeLimit = errors.New("socket: packet exceeds the size limit")

// ErrExceedHeaderLimit says that the URI or the meta data of a packet is longer
// than is allowed. A packet that was read has its sequence number and type, but
// no meta data and no body, and its URI only if that is short enough; what comes
// after the packet can still be read. The errors that are returned wrap it and
// name both sizes: use errors.Is.
var ErrExceedHeaderLimit = errors.New("socket: packet exceeds a limit of its header")

// ErrFilterNotAllowed says that a packet goes through a transfer filter that is
// registered but not allowed here. The errors that are returned wrap it: use
// errors.Is.
var ErrFilterNotAllowed = errors.New("socket: transfer filter that is not allowed")

// DefaultPacketSizeLimit is the limit of the process unless it is set: 16 MiB.
const DefaultPacketSizeLimit uint32 = 16 << 20

var packetSizeLimit atomic.Uint32 // 0 is the default

// PacketSizeLimit returns the greatest packet in bytes that is read or
// written by sockets without a limit of their own.
func PacketSizeLimit() uint32 {
	if n := packetSizeLimit.Load(); n > 0 {
		return n
	}
	return DefaultPacketSizeLimit
}

// SetPacketSizeLimit sets PacketSizeLimit for the whole process, in bytes;
// 0 restores the default.
func SetPacketSizeLimit(maxPacketSize uint32) {
	packetSizeLimit.Store(maxPacketSize)
}

func exceedError(size uint64, limit uint32) error {
	return fmt.Errorf("%w: %d bytes, the limit is %d (raise it with SetReadLimit or PeerConfig.PacketSizeLimit)",
		ErrExceedPacketSizeLimit, size, limit)
}

// fillLimits puts what bounds nothing in the place of 0, so that a length need
// be compared only once.
func (o *Options) fillLimits() {
	if o.UriLimit == 0 {
		o.UriLimit = math.MaxUint32
	}
	if o.MetaLimit == 0 {
		o.MetaLimit = math.MaxUint32
	}
}

// headerFits reports whether a URI and encoded meta data of these sizes are
// allowed.
func (p *Packet) headerFits(uri, meta int) bool {
	return p.limits == nil || uint64(uri) <= uint64(p.limits.UriLimit) && uint64(meta) <= uint64(p.limits.MetaLimit)
}

// MetaFits reports whether encoded meta data of n bytes is allowed. A Proto need not add
// more to the packet's meta data when what there is does not fit: the packet is refused.
// The encoding has at least 2 bytes for each pair but the first, which has 1, beside
// keys and values.
func (p *Packet) MetaFits(n int) bool { return p.headerFits(0, n) }

// headerError returns why they are not, if headerFits says so.
func (p *Packet) headerError(uri, meta int) error {
	if limit := p.limits.UriLimit; uint64(uri) > uint64(limit) {
		return fmt.Errorf("%w: a URI of %d bytes, the limit is %d (raise it with PeerConfig.UriSizeLimit)",
			ErrExceedHeaderLimit, uri, limit)
	}
	return fmt.Errorf("%w: meta data of %d bytes, the limit is %d (raise it with PeerConfig.MetaSizeLimit)",
		ErrExceedHeaderLimit, meta, p.limits.MetaLimit)
}

// checkFilters returns why the packet's transfer filters are not allowed, or
// nil.
func (p *Packet) checkFilters() (err error) {
	pipe := p.filters()
	if n := pipe.Len(); n > xfer.MaxFilters {
		return fmt.Errorf("%w: the packet has %d", xfer.ErrXferPipeTooLong, n)
	}
	if p.limits == nil || p.limits.AllowFilter == nil {
		return nil
	}
	pipe.Range(func(_ int, filter xfer.XferFilter) bool {
		if id := filter.Id(); !p.limits.AllowFilter(id) {
			err = fmt.Errorf("%w: %q (%d): allow it with PeerConfig.AllowedFilters", ErrFilterNotAllowed, id, id)
		}
		return err == nil
	})
	return err
}

// check returns why a packet of any Proto is not allowed, or nil.
func (p *Packet) check() error {
	meta := 0
	if p.meta != nil {
		meta = p.meta.EncodedLen()
	}
	if !p.headerFits(len(p.uri), meta) {
		return p.headerError(len(p.uri), meta)
	}
	return p.checkFilters()
}

// refuse notes why a packet that was read is not to be handled, and empties it
// of what is too much.
func (p *Packet) refuse(why error) {
	p.ReleaseBody()
	p.needMore().refused = why
	p.meta = nil
	if p.limits != nil && uint64(len(p.uri)) > uint64(p.limits.UriLimit) {
		p.uri = ""
	}
}

// isRefused reports whether refuse was called.
func (p *Packet) isRefused() bool { return p.more != nil && p.more.refused != nil }
