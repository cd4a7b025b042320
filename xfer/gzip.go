package xfer

import (
	"compress/gzip"
	"fmt"
	"io"
	"sync"
)

const (
	// gzipID is the id of the gzip filter on the wire.
	gzipID = 'g'
	// fastLevel is the level of the Gzip that is registered.
	fastLevel = gzip.BestSpeed
)

// DefaultGzipLimit is the most bytes that Gzip.OnUnpack makes: 16 MiB.
const DefaultGzipLimit = 16 << 20

// Gzip is the filter 'g', which compresses packets in the format of RFC 1952.
// The one that is registered compresses fast (level 1). Every Gzip reads what
// any other wrote, so the level is a matter of the sender alone.
//
// A Gzip is safe for concurrent use. It keeps compressors for reuse, each of
// which takes about 1 MB, until the garbage collector drops them. The
// zero value does not compress, but writes and reads the format. A Gzip must
// not be copied.
type Gzip struct {
	level   int
	packers sync.Pool // of *packer
}

var (
	_ XferFilter    = (*Gzip)(nil)
	_ LimitUnpacker = (*Gzip)(nil)
)

// NewGzip returns a filter that compresses with a level of compress/gzip: 1
// (fastest) to 9 (smallest), 0 for no compression, -1 for the usual
// compromise, -2 for Huffman coding only. Every other level is an error. Use
// Replace to make it the one that packets use.
func NewGzip(level int) (*Gzip, error) {
	if level < gzip.HuffmanOnly || level > gzip.BestCompression {
		return nil, fmt.Errorf("xfer: gzip level %d: choose one from %d to %d", level, gzip.HuffmanOnly, gzip.BestCompression)
	}
	return &Gzip{level: level}, nil
}

// Id returns 'g'.
func (g *Gzip) Id() byte {
	return gzipID
}

// packer is a compressor with the slice to which it appends.
type packer struct {
	dst []byte
	zw  *gzip.Writer
}

// Write implements io.Writer.
func (p *packer) Write(b []byte) (int, error) {
	p.dst = append(p.dst, b...)
	return len(b), nil
}

// OnPack returns src compressed, as one complete gzip stream: also if src is
// empty.
func (g *Gzip) OnPack(src []byte) ([]byte, error) {
	p, ok := g.packers.Get().(*packer)
	if ok {
		p.zw.Reset(p)
	} else {
		p = new(packer)
		zw, err := gzip.NewWriterLevel(p, g.level)
		if err != nil {
			return nil, err
		}
		p.zw = zw
	}
	p.dst = make([]byte, 0, len(src)/2+64)
	_, err := p.zw.Write(src)
	if err == nil {
		err = p.zw.Close()
	}
	if err != nil {
		return nil, err
	}
	dst := p.dst
	p.dst = nil // the caller's now
	g.packers.Put(p)
	return dst, nil
}

// OnUnpack is OnUnpackLimit with a limit of DefaultGzipLimit bytes.
func (g *Gzip) OnUnpack(src []byte) ([]byte, error) {
	return g.OnUnpackLimit(src, DefaultGzipLimit)
}

// OnUnpackLimit returns what was compressed to make src, at most max bytes: if
// there are more, the error wraps ErrExceedLimit. It stops reading at the
// first byte too many, and the memory for the result grows with what comes
// out.
//
// src must be exactly one complete gzip stream, whose checksum and length are
// verified. One kind of incomplete stream is taken too: the programs of 2017
// flush their streams but do not close them, so that the final block, the
// checksum and the length are missing. Such a stream has the plain header of
// 10 bytes and ends, at the border of two blocks, with the mark 00 00 ff ff
// that flushing leaves. Everything else is an error: a stream that is cut off
// anywhere, a wrong checksum, bytes after the end, a second stream.
func (g *Gzip) OnUnpackLimit(src []byte, max int) ([]byte, error) {
	if max < 0 {
		max = 0
	}
	u := unpackers.Get().(*unpacker)
	dst, err := u.unpack(src, max)
	u.input.data, u.input.tail = nil, nil
	unpackers.Put(u)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // for nobody to take it for the end of a connection
	}
	return dst, err
}
