package tp

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

const (
	// pushOverhead is what a waiting push costs beside its content, so that
	// many tiny ones are bounded too.
	pushOverhead = 512
	// pairOverhead is what a pair of its meta data costs beside key and value.
	pairOverhead = 64
	// yieldAfter is after how many packets a reader lets others run, and after how
	// many exchanges a line gives up its worker.
	yieldAfter = 256
	// lookInterval is how often a reader that is held back looks whether the
	// other side is still there.
	lookInterval = time.Second
	// looksAlive is after how many of these looks it sends a sign of life: it does not
	// read the PINGs of the other side.
	looksAlive = 4
)

// showsInput reports whether users see a packet while it is read: hooks, or a
// Proto of their own. Such a one is never used again.
func (l *link) showsInput() bool {
	return l.peer.plugins.readsHeaders() || !l.conn.TakesFrame()
}

const (
	// maxReplied is how many replies a reader has in hand at most: about as many small
	// ones as a read brings.
	maxReplied = 128
	// maxBegun is the same of pulls. The workers need not wait until all are parsed.
	maxBegun = 32
)

// arrival is what a reader that is not idle has in hand.
type arrival struct {
	packet  socket.Packet // shown to nobody
	more    int           // packets beside the first
	replied []*PullCmd    // finished, but for telling who waits
	pulls   []*handlerCtx // begun, but for giving them to the workers
}

var arrivals = sync.Pool{New: func() any { return new(arrival) }}

// wake tells those who wait for replies that they have come: all at once, so
// that what they send next leaves in one write. One at a time, another processor
// would take each to a write of its own.
func (a *arrival) wake() {
	for i, cmd := range a.replied {
		a.replied[i] = nil
		cmd.finished()
	}
	a.replied = a.replied[:0]
}

// readArrived reads one packet, and then those that have arrived as a whole
// with it.
func (l *link) readArrived() error {
	l.arrived = arrivals.Get().(*arrival)
	err := l.readPacket(&l.arrived.packet, nil)
	for err == nil && l.conn.FrameArrived() && !l.showsInput() {
		if l.arrived.more++; l.arrived.more%yieldAfter == 0 {
			l.passOn()
			runtime.Gosched()
		}
		err = l.readPacket(&l.arrived.packet, nil)
	}
	l.releaseArrived()
	return err
}

// passOn gives what the reader has in hand to those who are to have it. It must be
// called before anything that may take time, above all code of the user: the deadlines
// of those who wait do not help them any more. It runs none itself.
func (l *link) passOn() {
	if a := l.arrived; a != nil {
		a.wake()
		a.start(&l.peer.pool)
	}
}

// start gives the pulls to the workers: all at once, so that they are not taken one by
// one while the reader adds to them.
func (a *arrival) start(p *workerPool) {
	if len(a.pulls) > 0 {
		p.startReserved(a.pulls)
		clear(a.pulls)
		a.pulls = a.pulls[:0]
	}
}

// releaseArrived gives up what the reader has in hand, if anything.
func (l *link) releaseArrived() {
	a := l.arrived
	if a == nil {
		return
	}
	l.passOn()
	l.arrived = nil
	n := 1 + a.more
	a.more = 0
	a.packet.Reset()
	arrivals.Put(a)
	l.countRead(n)
}

// countRead counts packets that were read, and lets others run after many: a reader
// that always finds some does not wait, and would be stopped after 10 ms only.
func (l *link) countRead(n int) {
	before := l.conn.PacketsRead()
	l.conn.CountRead(n)
	if before%yieldAfter+uint64(n) >= yieldAfter {
		runtime.Gosched()
	}
}

// packetsRead returns how many packets have come, with the one in hand.
func (l *link) packetsRead() uint64 {
	n := l.conn.PacketsRead() + 1
	if l.arrived != nil { // it has not counted those before in the same read
		n += uint64(l.arrived.more)
	}
	return n
}

// readShown reads a packet that users may see.
func (l *link) readShown() error {
	c := newHandlerCtx(l)
	if rerr := l.peer.plugins.PreReadHeader(c); rerr != nil {
		err := fmt.Errorf("vetoed before a packet: %v", rerr)
		l.abort(err)
		return err
	}
	err := l.readPacket(&c.input, c)
	l.countRead(1)
	return err
}

// readPacket reads a packet into p, which is that of c if there is one, and
// passes it on.
func (l *link) readPacket(p *socket.Packet, c *handlerCtx) error {
	p.HoldBody()
	p.OwnBody(l.takesBytes)
	if err := l.conn.ReadPacket(p); err != nil {
		return l.notRead(p, c, err)
	}
	err := l.handle(p, c)
	if err != nil {
		l.passOn() // closing may take time
		l.abort(err)
	}
	return err
}

// notRead handles a packet that ReadPacket has refused, if err says that.
func (l *link) notRead(p *socket.Packet, c *handlerCtx, err error) error {
	if !errors.Is(err, socket.ErrExceedHeaderLimit) {
		return err
	}
	if err = l.handleRefused(p, c, err); err != nil {
		l.passOn()
		l.abort(err)
	}
	return err
}

// handle passes a packet on to who handles it. It takes the packet over, and c
// if there is one. An error closes the link.
func (l *link) handle(p *socket.Packet, c *handlerCtx) error {
	if p.Ptype() != TypeReply && p.Ptype() != TypePull {
		l.passOn() // what follows may take time
	}
	if err := l.checkRate(); err != nil {
		return err
	}
	if p.Ptype() == TypeUndefined || p.Ptype() > TypePong {
		return unknownType(p.Ptype())
	}
	if l.caps.hear(p) {
		l.settle()
		if l.caps.silent() {
			l.queueControl(TypePing, 0)
		}
		l.sendUnsaid()
	}
	switch p.Ptype() {
	case TypePull:
		return l.handlePull(l.contextFor(p, c))
	case TypePush:
		return l.handlePush(l.contextFor(p, c))
	case TypeReply:
		return l.handleReply(p)
	}
	if p.Ptype() == TypePing && !l.greeted { // it announces: most links have one
		l.greeted = true
		l.queueControl(TypePong, p.Seq())
		return nil
	}
	return l.handleControl(p.Ptype(), p.Seq())
}

func unknownType(ptype byte) error { return fmt.Errorf("a packet of unknown type %d", ptype) }

// contextFor returns the context of the packet: c, or one that takes it over.
func (l *link) contextFor(p *socket.Packet, c *handlerCtx) *handlerCtx {
	if c == nil {
		c = newHandlerCtx(l)
		c.input = *p
		*p = socket.Packet{}
	}
	return c
}

func (l *link) handleReply(p *socket.Packet) error {
	cmd := l.pending.remove(p.Seq())
	if cmd == nil {
		return l.dropReply(p)
	}
	l.settle()
	l.expect(cmd.takesBytes)
	cmd.take(p)
	l.finishPull(cmd)
	return nil
}

// finishPull tells who waits for cmd that it is finished, at once or soon.
func (l *link) finishPull(cmd *PullCmd) {
	if l.arrived == nil {
		cmd.finished()
		return
	}
	l.arrived.replied = append(l.arrived.replied, cmd)
	if len(l.arrived.replied) == maxReplied {
		l.passOn()
	}
}

// expect notes whether a body was wanted as it came: the next one will be too.
func (l *link) expect(bytes bool) {
	if l.takesBytes != bytes { // others read what lies beside it
		l.takesBytes = bytes
	}
}

// dropReply drops a reply to no pull under way: it is late, or comes twice. Each pull
// that was given up may have one.
func (l *link) dropReply(p *socket.Packet) error {
	l.passOn() // the logger may be slow
	l.peer.tally.refuse(refusedLate)
	l.peer.log().Debugf("session %s: a reply to no pull under way: seq %d, uri %q: late or twice", l.sess.Id(), p.Seq(), clipURI(p.Uri()))
	p.ReleaseBody()
	if l.pending.forgive() {
		return nil
	}
	return l.fault("replies to no pull")
}

// hookGone tells that code of the user has ended its goroutine, as
// testing.T.FailNow does. A panic is less: see runHooks.
func hookGone(where string) *Rerror {
	return NewRerror(CodeInternalServerError, CodeText(CodeInternalServerError), where+" ended its goroutine")
}

func (l *link) handlePull(c *handlerCtx) error {
	c.prepare()
	c.takeTimeout()
	many := l.begin()
	if l.halfShut.Load() { // looked at after begin: the drainer looks the other way round
		l.finish()
		c.input.ReleaseBody() // it cannot be answered, so it is not executed
		return nil
	}
	if many {
		l.passOn()
		l.refuseBusy(c)
		return nil
	}
	if l.peer.plugins.readsPullHeaders() {
		l.passOn()
	}
	c.rerr = l.counted(c, l.peer.plugins.PostReadPullHeader)
	if c.rerr == nil {
		c.handler, c.rerr = l.peer.PullRouter.route(c, l.peer.PushRouter)
	}
	mode := DispatchConcurrent
	if c.handler != nil {
		mode = c.handler.mode
		l.expect(c.handler.newArg == nil)
	}
	if !l.hold(c) {
		l.passOn()
		l.peer.tally.refuse(refusedBytes)
		l.refusePull(c, tooLarge())
		return nil
	}
	switch mode {
	case DispatchInline:
		l.passOn()
		c.run()
	case DispatchOrdered:
		l.passOn()
		return l.order(c)
	default:
		l.startPull(c)
	}
	return nil
}

// startPull gives the pull to the workers, at once or soon.
func (l *link) startPull(c *handlerCtx) {
	if !l.peer.pool.reserve() {
		l.passOn()
		l.refuseBusy(c)
		return
	}
	a := l.arrived
	if a == nil {
		l.peer.pool.startReserved([]*handlerCtx{c})
		return
	}
	a.pulls = append(a.pulls, c)
	if len(a.pulls) == maxBegun {
		l.passOn()
	}
}

// counted runs the header hooks of an exchange that begin has counted. They
// may end the goroutine.
func (l *link) counted(c *handlerCtx, hooks func(ReadCtx) *Rerror) *Rerror {
	returned := false
	defer func() {
		if !returned {
			l.finish()
		}
	}()
	rerr := hooks(c)
	returned = true
	return rerr
}

func tooBusy() *Rerror {
	return NewRerror(CodeServiceUnavailable, CodeText(CodeServiceUnavailable),
		"too many handlers are running: see PeerConfig.MaxSessionHandlers, MaxHandlers and SetGopool")
}

func tooLarge() *Rerror {
	return NewRerror(CodeServiceUnavailable, CodeText(CodeServiceUnavailable),
		"the running handlers hold too many bytes: see PeerConfig.MaxSessionHandlerBytes and MaxHandlerBytes")
}

// refuseBusy is refusePull where too many handlers run.
func (l *link) refuseBusy(c *handlerCtx) {
	l.peer.tally.refuse(refusedHandlers)
	l.refusePull(c, tooBusy())
}

// refusePull answers from the reader why a pull that begin has counted is not executed.
func (l *link) refusePull(c *handlerCtx, rerr *Rerror) {
	defer c.end() // only now: a drainer that finds none under way lets nothing be sent
	c.input.ReleaseBody()
	out := c.Output()
	c.fillReply(out, nil, rerr)
	if err := l.sendFromReader(out); errors.Is(err, socket.ErrPack) {
		c.fillBareReply(out, rerr)
		_ = l.sendFromReader(out)
	}
	c.logExchange(rerr, out)
	c.tellOver(rerr, out)
	runtime.Gosched() // who floods us with such pulls is read last
}

func (l *link) handlePush(c *handlerCtx) error {
	many := l.begin() // it waits in line then: a push is never dropped
	c.prepare()
	rerr := l.counted(c, l.peer.plugins.PostReadPushHeader)
	if rerr == nil {
		c.handler, rerr = l.peer.PushRouter.route(c, l.peer.PullRouter)
	}
	if rerr != nil {
		c.rerr = rerr
		c.dropPush(rerr)
		c.tellOver(rerr, nil)
		l.finish()
		return nil
	}
	l.expect(c.handler.newArg == nil)
	switch {
	case c.handler.mode == DispatchInline:
		c.run()
		return nil
	case c.handler.mode == DispatchConcurrent && !many && l.hold(c) && l.peer.pool.startExchange(c):
		return nil
	}
	return l.order(c)
}

// order adds an exchange to the line.
func (l *link) order(c *handlerCtx) error {
	if l.line == nil {
		l.line = &line{pool: &l.peer.pool}
	}
	l.line.add(c)
	return l.awaitRoom()
}

// awaitRoom holds the reader back while the line is too long, but not while a
// pull of this side waits for a reply: the handler that the line waits for
// may be the one that pulls. Nor when the other side has left: it sends no
// more, and only reading to the end tells the handlers, by their contexts.
func (l *link) awaitRoom() error {
	limit := l.peer.cfg.PushQueueLimit
	if limit <= 0 {
		return nil
	}
	defer l.paused.Store(false)
	var look <-chan time.Time
	for looks := 1; ; {
		bytes, room := l.line.held()
		if bytes <= limit {
			return nil
		}
		l.paused.Store(true)
		news := l.listen()
		if cut, _ := l.aborted(); cut {
			return ErrConnClosed
		}
		if l.left || l.pending.len() > 0 {
			if bytes > limit*pushQueueStretch {
				return &endReason{refusedPushQueue, fmt.Errorf("%d bytes of pushes and ordered pulls wait for their handlers while a pull of this side is under way or the other side has left; the limit is %d times PeerConfig.PushQueueLimit, %d", bytes, pushQueueStretch, limit)}
			}
			return nil
		}
		l.conn.FlushSoon()
		if look == nil {
			ticker := time.NewTicker(lookInterval)
			defer ticker.Stop()
			look = ticker.C
		}
		select {
		case <-look:
			l.left = l.conn.PeerLeft()
			if looks++; looks%looksAlive == 0 && l.caps.known() {
				l.queueControl(TypePong, 0)
			}
		case <-room:
		case <-news:
		}
	}
}

// wakeReader tells a reader that is held back of a pull that has started.
func (l *link) wakeReader() {
	if l.paused.Load() {
		l.tell()
	}
}
