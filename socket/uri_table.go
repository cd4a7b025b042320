package socket

import (
	"hash/maphash"
	"sync/atomic"
)

// uriTable remembers URIs that have arrived, so that one which comes again and
// again is not a new string each time: a program has few. It is a cache: each
// place holds the last URI that fell on it. It is safe for concurrent use.
type uriTable struct {
	seed   maphash.Seed
	places [1024]atomic.Pointer[string]
}

// maxTableURI is the longest URI that is remembered, so that the table never
// holds more than 256 KiB.
const maxTableURI = 256

var arrivedURIs = uriTable{seed: maphash.MakeSeed()}

// text returns uri as a string.
func (t *uriTable) text(uri []byte) string {
	if len(uri) == 0 || len(uri) > maxTableURI {
		return string(uri)
	}
	place := &t.places[maphash.Bytes(t.seed, uri)%uint64(len(t.places))]
	if known := place.Load(); known != nil && *known == string(uri) {
		return *known
	}
	s := string(uri)
	place.Store(&s)
	return s
}
