package xfer

import (
	"fmt"
	"sync/atomic"
)

// registry holds the registered filters by id.
var registry [256]atomic.Pointer[XferFilter]

func init() {
	g, err := NewGzip(fastLevel)
	if err != nil {
		panic(err)
	}
	Reg(g)
}

// Reg registers a filter for the whole process. It panics if filter is nil or
// its id is taken, which are mistakes in the program; use Replace to put a
// filter in the place of another. It is safe for concurrent use.
func Reg(xferFilter XferFilter) {
	if xferFilter == nil {
		panic("xfer: Reg of a nil filter: pass a value that implements XferFilter")
	}
	id := xferFilter.Id()
	if !registry[id].CompareAndSwap(nil, &xferFilter) {
		panic(fmt.Sprintf("xfer: Reg of %T: id %s belongs to %T: choose another id, or call Replace",
			xferFilter, showID(id), *registry[id].Load()))
	}
}

// Replace registers a filter in the place of the one with its id, and returns
// that one, or nil if the id was free. Both must understand each other's
// packets: the usual use is another compression level. Pipes that are filled
// already keep the old filter. It panics if filter is nil, and is safe for
// concurrent use.
func Replace(xferFilter XferFilter) XferFilter {
	if xferFilter == nil {
		panic("xfer: Replace by a nil filter: pass a value that implements XferFilter")
	}
	if old := registry[xferFilter.Id()].Swap(&xferFilter); old != nil {
		return *old
	}
	return nil
}

// wellKnown are the filters that a package registers when it is imported.
var wellKnown = map[byte]string{'c': "crc32c", 'm': "md5", 's': "s2", 'z': "zstd"}

// Get returns the registered filter with the id, or an error that names the
// id. It takes no lock.
func Get(id byte) (XferFilter, error) {
	if f := registry[id].Load(); f != nil {
		return *f, nil
	}
	if name := wellKnown[id]; name != "" {
		return nil, fmt.Errorf("xfer: no filter has id %s: import _ %q", showID(id), "github.com/henrylee2cn/teleport/xfer/"+name)
	}
	if id == 'a' { // it needs keys, so that an import is not enough
		return nil, fmt.Errorf("xfer: no filter has id %s: register one of github.com/henrylee2cn/teleport/xfer/aesgcm with xfer.Reg", showID(id))
	}
	return nil, fmt.Errorf("xfer: no filter has id %s: register it with xfer.Reg", showID(id))
}

// showID shows an id as a character, if it is one, and as a number.
func showID(id byte) string {
	if id > ' ' && id < 0x7f {
		return fmt.Sprintf("%q (%d)", id, id)
	}
	return fmt.Sprintf("%d", id)
}
