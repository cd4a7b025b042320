// Package kgzip makes the transfer filter 'g' compress by means of
// github.com/klauspost/compress, which takes less time than the standard library's
// compression. One import line chooses it:
//
//	import _ "github.com/henrylee2cn/teleport/xfer/kgzip"
//
// The format and the id stay, so nothing else changes, and the other side may have
// either. Decompression is that of package xfer, with its limits, and with what it
// takes of programs of 2017.
package kgzip

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/henrylee2cn/teleport/xfer"
)

// Filter compresses packets in the format of RFC 1952. It reads what any other
// filter 'g' wrote.
//
// A Filter is safe for concurrent use. It keeps compressors for reuse, of up to 1 MB
// each by the level, until the garbage collector drops them. The zero value does not
// compress, but writes and reads the format. A Filter must not be copied.
type Filter struct {
	xfer.Gzip // which unpacks
	level     int
	packers   sync.Pool // of *packer
}

var (
	_ xfer.XferFilter    = (*Filter)(nil)
	_ xfer.LimitUnpacker = (*Filter)(nil)
)

func init() {
	f, err := New(gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	xfer.Replace(f)
}

// New returns a filter that compresses with a level of 1 (fastest, the one that is
// registered) to 9 (smallest), 0 for no compression, -1 for the usual compromise, -2
// for Huffman coding only. Every other level is an error. Use xfer.Replace to make it
// the one that packets use.
func New(level int) (*Filter, error) {
	if level < gzip.HuffmanOnly || level > gzip.BestCompression {
		return nil, fmt.Errorf("kgzip: level %d: choose one from %d to %d", level, gzip.HuffmanOnly, gzip.BestCompression)
	}
	return &Filter{level: level}, nil
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

// OnPack returns src compressed, as one complete gzip stream: also if src is empty.
func (f *Filter) OnPack(src []byte) ([]byte, error) {
	p, ok := f.packers.Get().(*packer)
	if ok {
		p.zw.Reset(p)
	} else {
		p = new(packer)
		zw, err := gzip.NewWriterLevel(p, f.level)
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
	f.packers.Put(p)
	return dst, nil
}
