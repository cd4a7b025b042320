package websocket

import (
	"fmt"
	"time"

	"github.com/henrylee2cn/teleport/transport"
)

const (
	// maxPings is how many pings may come in a second: each is answered by a write.
	maxPings = 100
	// overheadRate is how many bytes may come in a second, and overheadBurst how many at
	// once, that neither are contents of messages nor come with as many bytes of
	// contents. A message of 6 bytes or more never adds to them.
	overheadRate  = 16 << 10
	overheadBurst = 64 << 10
)

// overhead watches what comes beside the contents of messages: pings, pongs, empty
// messages and frames, and the headers of tiny ones. A session does not see them, so
// none of its limits does. It is the reader's.
type overhead struct {
	excess int64     // bytes that came, less twice those that were contents; never negative
	room   int64     // how much of that may be contents which the Read under way returns
	since  time.Time // what has come in excess was allowed until then

	second time.Time // in which
	pings  int       // so many came

	flood   error // what is too much, or nil
	lenient bool  // nothing counts any more
}

// begin takes note of a Read into so many bytes.
func (o *overhead) begin(room int) { o.room = int64(room) }

// came counts bytes of the conn below.
func (o *overhead) came(n int) {
	o.excess += int64(n)
	if o.excess <= overheadBurst+o.room || o.lenient {
		return
	}
	now := time.Now()
	o.excess = max(0, o.excess-int64(now.Sub(o.since).Seconds()*overheadRate))
	o.since = now
	if o.excess > overheadBurst+o.room {
		o.flood = fmt.Errorf("websocket: %w: more than %d bytes in a second that are no contents of messages", transport.ErrFlood, overheadRate)
	}
}

// contents counts bytes of messages.
func (o *overhead) contents(n int) { o.excess = max(0, o.excess-2*int64(n)) }

// ping counts a ping and reports whether it is to be answered.
func (o *overhead) ping() bool {
	if now := time.Now(); now.Sub(o.second) > time.Second {
		o.second, o.pings = now, 0
	}
	if o.pings++; o.pings > maxPings && !o.lenient {
		o.flood = fmt.Errorf("websocket: %w: more than %d pings in a second", transport.ErrFlood, maxPings)
	}
	return o.flood == nil
}
