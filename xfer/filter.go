// Package xfer holds the filters that the bytes of a packet pass between the
// codec and the connection, such as compression, encryption and checksums,
// and the pipe that applies several of them.
//
// A packet lists the ids of its filters, one byte each, outermost first, so
// both sides of a connection must have registered the same filters under the
// same ids. Gzip is registered as 'g'; Reg adds others at start-up:
//
//	xfer.Reg(checksum{})
//	var pipe xfer.XferPipe
//	err := pipe.Append('c', 'g') // the checksum is over the compressed bytes
//
// The packages below this one, such as xfer/zstd, are more filters: doc/filters.md has
// the list of them and of their ids.
//
// A packet from the network is unpacked with OnUnpackLimit, so that a few
// bytes cannot grow into gigabytes.
package xfer

import (
	"errors"
	"fmt"
)

// ErrExceedLimit is wrapped by the errors about a filter that makes more
// bytes from a packet than the limit allows.
var ErrExceedLimit = errors.New("xfer: unpacked data exceeds the limit")

// ErrXferPipeTooLong is wrapped by the errors about a pipe of more than
// MaxFilters filters.
var ErrXferPipeTooLong = fmt.Errorf("xfer: more than %d filters in a pipe", MaxFilters)

// XferFilter changes the bytes of a packet in a way that can be undone.
//
// Its methods are called by many goroutines at the same time. OnPack and
// OnUnpack must neither write to their argument nor keep it; what they return
// may be the argument or a part of it, and otherwise belongs to the caller.
type XferFilter interface {
	// Id returns the byte that stands for the filter on the wire, always the
	// same one.
	Id() byte
	// OnPack returns what to send for src.
	OnPack(src []byte) ([]byte, error)
	// OnUnpack returns what OnPack was given to make src.
	OnUnpack(src []byte) ([]byte, error)
}

// LimitUnpacker is implemented by a filter that can make more bytes than it
// gets, as decompression does, to stop in time.
type LimitUnpacker interface {
	// OnUnpackLimit is OnUnpack, but fails with an error that wraps
	// ErrExceedLimit if the result has more than max bytes. It must not
	// allocate much more memory than the smaller of max and the result.
	OnUnpackLimit(src []byte, max int) ([]byte, error)
}
