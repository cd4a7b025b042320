package socket

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrExceedPacketSizeLimit says that a packet is larger than is allowed. The
// errors that are returned wrap it and name both sizes: use errors.Is.
var ErrExceedPacketSizeLimit = errors.New("socket: packet exceeds the size limit")

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
