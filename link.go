package tp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/teleport/internal/notice"
	"github.com/henrylee2cn/teleport/socket"
)

// link is one connection of a session.
//
// Goroutines: the reader (read, then end), which exists as long as the link
// and is counted by the peer; the drainer (drain), started at most once and
// stopped by its bound and by readEnded; workers of the peer's pool, which run
// handlers and flush. What stops everything is closing the conn: the reader
// meets the error and ends the link.
//
// Its fields are in groups, by who changes them: several processors use a busy
// link at once.
type link struct {
	sess *session
	peer *Peer
	conn *socket.Conn
	caps capabilities

	// Whoever changes one of these that another goroutine may wait for tells
	// news. All but paused go one way.
	paused   atomic.Bool // the reader waits for room in line; a pull that starts must wake it
	draining atomic.Bool // there is a drainer
	refusing atomic.Bool // no more pulls and pushes of this side
	away     atomic.Bool // the other side sends no more: its GOAWAY came
	halfShut atomic.Bool // this side answers no more: CloseWrite is about to come
	over     atomic.Bool // see end

	// What the callers of this side change.
	pullSeq atomic.Uint64 // the next of this side
	pending pendingPulls

	// What the handlers and the reader change.
	handlers   atomic.Int32 // exchanges of the other side that are not finished
	opened     uint32       // milliseconds since processStart
	pushSeq    atomic.Uint64
	line       *line        // the reader's; nil as long as no exchange was ordered
	queued     int32        // exchanges that wait for a worker; guarded by the pool's mu
	takesBytes bool         // the reader's: whether the last body was wanted as it came
	left       bool         // the reader's: the other side has left
	greeted    bool         // the reader's: one PING or PONG has come
	tallied    bool         // what went over it is in the peer's sum; guarded by the peer's mu
	arrived    *arrival     // the reader's; nil while it is idle
	readEnded  atomic.Bool  // as those above: nothing more will be read
	heldKiB    atomic.Int32 // of the bodies that begun exchanges hold, small ones aside
	conduct    *conduct     // the reader's; nil as long as there is nothing to note

	silence silence // the keeper's

	ends atomic.Pointer[pullEnds] // nil as long as no pull of the other side can end early

	mu      sync.Mutex    // protects following
	news    notice.Notice // what the drainer or a paused reader waits for may have come true
	cut     bool          // abort was called
	cause   error         // why, unless it was asked for
	pullCtx *linkContext  // nil as long as nobody has asked for it
	pushCtx *linkContext
}

func newLink(s *session, c net.Conn, protoFunc []socket.ProtoFunc) *link {
	l := &link{sess: s, peer: s.peer}
	cfg := &l.peer.cfg
	l.conn = l.peer.connOptions.NewConn(c, protoFunc...)
	l.conn.OnWriteError(l.abort)
	if !l.conn.TakesFrame() { // FastProto skips nothing, and needs no function for it
		l.conn.OnSkip(l.skipped)
	}
	l.conn.SetReadTimeout(cfg.DefaultReadTimeout)
	l.conn.SetWriteTimeout(cfg.DefaultWriteTimeout)
	return l
}

// abort closes the conn at once and wakes the reader; the first cause is the
// one that is logged. It is nil when this side was asked to close.
func (l *link) abort(cause error) {
	l.mu.Lock()
	if !l.cut {
		l.cut, l.cause = true, cause
		l.news.Tell()
	}
	l.mu.Unlock()
	_ = l.conn.Close()
}

// aborted reports whether abort was called, and why.
func (l *link) aborted() (cut bool, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut, l.cause
}

// listen returns a channel that is closed when there is news. Listen, then look
// at what you wait for.
func (l *link) listen() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news.Wait()
}

func (l *link) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news.Tell()
}

// send packs and queues a packet of this side. It adds what this side has to
// announce.
func (l *link) send(p *socket.Packet) error {
	added := l.caps.announce(p, l.peer.cfg.MetaSizeLimit)
	err := l.conn.QueuePacket(p)
	added.sent(err)
	if err != nil {
		l.countFull(err)
	}
	return err
}

// sendNow is send that does not wait for room.
func (l *link) sendNow(p *socket.Packet) error {
	added := l.caps.announce(p, l.peer.cfg.MetaSizeLimit)
	err := l.conn.QueuePacketNow(p)
	added.sent(err)
	if err != nil {
		l.countFull(err)
	}
	return err
}

// countFull counts a packet that found no room, and closes the link if that is what
// the peer does with those who do not read.
func (l *link) countFull(err error) {
	full := errors.Is(err, socket.ErrQueueFull)
	if !full && !errors.Is(err, socket.ErrQueueTimeout) {
		return
	}
	l.peer.tally.refuse(refusedQueue)
	if full && l.peer.cfg.SlowPolicy == SlowClose {
		l.peer.spawn(func() { // closing may take time, as under TLS
			l.abort(&endReason{refusedSlow, fmt.Errorf("the other side reads too slowly (PeerConfig.SlowPolicy): %w", err)})
		})
	}
}

// sendFromWorker is send for a worker of the pool. Others may run handlers whose
// replies could leave in the same write, so it is written after tasks that wait
// already: with their replies, not one by one by whichever processor is free.
func (l *link) sendFromWorker(p *socket.Packet) error {
	added := l.caps.announce(p, l.peer.cfg.MetaSizeLimit)
	flush, err := l.conn.QueuePacketUnflushed(p)
	switch {
	case !flush:
	case l.conn.WritesAlone():
		(*linkFlush)(l).run()
	default:
		l.peer.pool.startBehind((*linkFlush)(l))
	}
	added.sent(err)
	return err
}

// linkFlush is the task of writing what is queued on a link.
type linkFlush link

func (f *linkFlush) run() {
	if f.conn.WriteQueued() {
		f.peer.pool.startBehind(f)
	}
}

// sendNeverWaiting is send for who sends to many.
func (l *link) sendNeverWaiting(p *socket.Packet) error {
	added := l.caps.announce(p, l.peer.cfg.MetaSizeLimit)
	flush, err := l.conn.QueuePacketNeverWaiting(p)
	if flush {
		l.peer.flushes.add(l.conn)
	}
	added.sent(err)
	if err != nil {
		l.countFull(err)
	}
	return err
}

// sendFromReader is send for the reader, which never waits. A failure to find
// room closes the link.
func (l *link) sendFromReader(p *socket.Packet) error {
	added := l.caps.announce(p, l.peer.cfg.MetaSizeLimit)
	err := l.conn.QueuePacketNoWait(p)
	added.sent(err)
	l.abortIfFull(err)
	return err
}

func (l *link) abortIfFull(err error) {
	if errors.Is(err, socket.ErrQueueFull) {
		l.abort(&endReason{refusedSlow, fmt.Errorf("what the reader has to send finds no room: %w", err)})
	}
}

// controlPacket returns a packet of a type above 3 that is about to be sent.
func (l *link) controlPacket(ptype byte, seq uint64) *socket.Packet {
	p := new(socket.Packet)
	p.SetPtype(ptype)
	p.SetSeq(seq)
	l.caps.saidType.Store(true)
	return p
}

// queueControl queues a control packet for the reader. It never waits. Other
// failures than want of room end the link by themselves.
func (l *link) queueControl(ptype byte, seq uint64) {
	l.abortIfFull(l.conn.QueuePacketNoWait(l.controlPacket(ptype, seq)))
}

// sendControl sends a control packet for anyone but the reader. It never waits: if
// the queue is full, nothing is sent.
func (l *link) sendControl(ptype byte, seq uint64) {
	flush, _ := l.conn.QueuePacketNeverWaiting(l.controlPacket(ptype, seq))
	if flush {
		l.peer.flushes.add(l.conn)
	}
}

// sendPing sends a PING for the keeper. To a full queue it adds to what is kept
// for the reader: who reads all the time, and says nothing, is asked too.
func (l *link) sendPing() {
	ping := l.controlPacket(TypePing, 0)
	flush, err := l.conn.QueuePacketNeverWaiting(ping)
	if errors.Is(err, socket.ErrQueueFull) {
		_ = l.conn.QueuePacketNoWait(ping)
		l.conn.FlushSoon()
	} else if flush {
		l.peer.flushes.add(l.conn)
	}
}

// begin counts one more handler, and reports whether these are too many.
func (l *link) begin() (tooMany bool) {
	n, all := l.handlers.Add(1), l.peer.handlers.Add(1)
	cfg := &l.peer.cfg
	return cfg.MaxSessionHandlers > 0 && int(n) > cfg.MaxSessionHandlers ||
		cfg.MaxHandlers > 0 && all > int64(cfg.MaxHandlers)
}

// finish counts one handler less.
func (l *link) finish() {
	l.peer.handlers.Add(-1)
	if l.handlers.Add(-1) == 0 {
		l.settle()
	}
}

// smallBody is up to which size bodies are bounded by their number alone, in KiB.
const smallBody = 4

// hold counts the body of an exchange until its end, or reports that handlers hold
// too much. One that is alone is always taken.
func (l *link) hold(c *handlerCtx) bool {
	n := int32(len(c.input.HeldBody()) >> 10)
	if n < smallBody {
		return true
	}
	c.heldKiB = n
	cfg, mine, all := &l.peer.cfg, l.heldKiB.Add(n), l.peer.heldKiB.Add(int64(n))
	tooMany := func(held int64, limit int) bool {
		return limit > 0 && held > int64(limit)>>10 && held > int64(n)
	}
	return !tooMany(int64(mine), cfg.MaxSessionHandlerBytes) && !tooMany(all, cfg.MaxHandlerBytes)
}

// release takes back what hold has counted.
func (l *link) release(c *handlerCtx) {
	if c.heldKiB > 0 {
		l.heldKiB.Add(-c.heldKiB)
		l.peer.heldKiB.Add(-int64(c.heldKiB))
		c.heldKiB = 0
	}
}

// settle tells the drainer that something it waits for may have come true.
func (l *link) settle() {
	if l.draining.Load() {
		l.tell()
	}
}

// refuse ends the pulls and pushes of this side: those under way go on. After it
// every pull that will be sent is among the pending ones.
func (l *link) refuse() {
	l.refusing.Store(true)
	l.pending.refuse()
}

// sendOpening is Send of a session that PostDial or PostAccept may still refuse.
func (l *link) sendOpening(p *socket.Packet) error { return l.conn.WritePacket(p) }

// skipped is called when the Proto has read a packet that is none for the user.
func (l *link) skipped() error {
	if l.conduct != nil && l.conduct.skipped != nil {
		if err := l.conduct.skipped(); err != nil {
			return err
		}
	}
	return l.checkRate()
}

// maxOpeningBytes is how many bytes of packets a connection may send before
// PostAccept has let it in.
const maxOpeningBytes = 16 << 10

// receiveOpening is Receive of such a session. Who has been dialled is known; who was
// accepted is not, and has small limits.
func (l *link) receiveOpening(p *socket.Packet) error {
	if l.sess.dialled {
		return l.conn.ReadPacket(p)
	}
	seen := l.watched()
	limits := *l.peer.connOptions
	limits.AllowFilter = func(byte) bool { return false }
	left := func() error {
		if seen.opening >= maxOpeningBytes {
			return socket.ErrExceedPacketSizeLimit
		}
		limits.PacketLimit = min(maxOpeningBytes-seen.opening, l.peer.packetLimit())
		return nil
	}
	count := func() { seen.opening += min(p.Size(), maxOpeningBytes) }
	seen.skipped = func() error { // p was none for the user, and takes the next one
		count()
		return left()
	}
	err := left()
	if err == nil {
		err = l.conn.ReadPacketWithin(p, &limits)
		count() // also of one that was refused
	}
	seen.skipped = nil
	if errors.Is(err, socket.ErrExceedPacketSizeLimit) || errors.Is(err, socket.ErrFilterNotAllowed) {
		return fmt.Errorf("before it is let in, a connection may send %d bytes, without filters: %w", maxOpeningBytes, err)
	}
	return err
}

// drain closes the link when all is done, at the latest when ctx ends: it
// tells the other side with GOAWAY (if it knows that), waits for the pulls of
// both sides and for the other side's GOAWAY, flushes, shuts down writing and
// waits until the other side has closed too. Closing before would make the
// kernel reset the connection and lose replies.
//
// When the other side goes away first, this one answers with its GOAWAY after
// its handlers are done, since they may pull and push until then.
func (l *link) drain(ctx context.Context) {
	if !l.awaitFirst(ctx) {
		return
	}
	if !l.refusing.Load() && !l.awaitQuiet(ctx, func() bool { return true }) {
		return
	}
	l.refuse()
	if l.away.Load() && !l.awaitQuiet(ctx, func() bool { return true }) { // of a pull that was just begun
		return
	}
	told := l.caps.known()
	if told {
		l.queueControl(TypeGoAway, 0)
		l.conn.FlushSoon()
	}
	if !l.awaitQuiet(ctx, func() bool { return !told || l.away.Load() }) {
		return
	}
	// A pull that came before this is answered, one that comes after it is not
	// executed.
	l.halfShut.Store(true)
	if !l.awaitQuiet(ctx, func() bool { return true }) {
		return
	}
	l.conn.EndWrite()
	if err := l.conn.Flush(ctx); err != nil {
		l.abort(err)
		return
	}
	if !l.conn.CloseWrite() {
		l.abort(nil)
		return
	}
	if !l.await(ctx, l.readEnded.Load) {
		l.abort(errors.New("the other side did not close in time"))
	}
}

// firstWord is how long the other side has, from the beginning, for its first
// packet. Who has just dialled is about to pull, and until then cannot be told that
// this side goes away.
const firstWord = time.Second

// age returns for how long the link is open.
func (l *link) age() time.Duration {
	return time.Duration(uint32(sinceStart().Milliseconds())-l.opened) * time.Millisecond
}

// awaitFirst waits for the first packet of the other side, or until it is not to be
// expected any more. False means that the link is over.
func (l *link) awaitFirst(ctx context.Context) bool {
	age := l.age()
	if l.peer.life.Err() == nil || l.sess.dialled || l.caps.known() || age >= firstWord {
		return true
	}
	bound, cancel := context.WithTimeout(ctx, firstWord-age)
	defer cancel()
	l.await(bound, func() bool { return l.caps.known() || l.readEnded.Load() })
	return !l.readEnded.Load()
}

// awaitQuiet waits until no handler runs, no pull waits for its reply, and
// also holds. False means that the link is over.
func (l *link) awaitQuiet(ctx context.Context, also func() bool) bool {
	quiet := false
	if !l.await(ctx, func() bool {
		quiet = l.handlers.Load() == 0 && l.pending.len() == 0 && also()
		return quiet || l.readEnded.Load()
	}) {
		l.abort(errors.New("the drain took too long"))
	}
	return quiet
}

// await returns when is holds, or ctx ends: then false.
func (l *link) await(ctx context.Context, is func() bool) bool {
	for {
		news := l.listen()
		if is() {
			return true
		}
		select {
		case <-news:
		case <-ctx.Done():
			return false
		}
	}
}

// startDrain starts the drainer, once. cancel releases ctx at its end.
func (l *link) startDrain(ctx context.Context, cancel context.CancelFunc) {
	if l.draining.Swap(true) {
		cancel()
		return
	}
	l.peer.pool.mustStart(l.peer.safely(func() {
		defer cancel()
		l.drain(ctx)
	}))
}

// end is the reader's last work, when err has told it that nothing more can
// be read. It returns when the link is over.
func (l *link) end(err error) {
	l.releaseArrived() // a hook may have ended the reader in the midst of it
	l.refuse()
	l.readEnded.Store(true)
	l.tell()
	why := l.logEnd(err)
	for _, cmd := range l.pending.close(why) {
		cmd.fail(why)
	}
	noMore := errors.Is(err, socket.ErrNoMore)
	if err == io.EOF || noMore { // orderly: what is queued may still be wanted
		l.cancelContext(&l.pullCtx)
		_ = l.flushWithin(l.conn.WriteTimeout())
	}
	if noMore {
		l.conn.Linger(lingerTime)
	}
	// Before the handlers are told, or what they reply then still gets out.
	_ = l.conn.Close()
	l.cancelContext(&l.pullCtx)
	l.finishLine()
	l.cancelContext(&l.pushCtx)
	l.peer.countEnded(l)
	l.over.Store(true)
}

// lingerTime is how long the other side has to close a connection on which this side
// has sent its last, and reads no packets any more.
const lingerTime = 500 * time.Millisecond

// nothing is the cancel function where there is nothing to release.
func nothing() {}

// flushWithin flushes for at most d, or the peer's close timeout if d is none.
func (l *link) flushWithin(d time.Duration) error {
	ctx, cancel := l.peer.closeBound()
	if d > 0 {
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), d)
	}
	defer cancel()
	return l.conn.Flush(ctx)
}

// finishLine waits for the pushes that have arrived: those of a peer that
// pushed and closed count as delivered.
func (l *link) finishLine() {
	if l.line == nil {
		return
	}
	bound, cancel := l.peer.closeBound()
	defer cancel()
	for idle := l.line.idle(); idle != nil; idle = l.line.idle() {
		select {
		case <-idle:
		case <-bound.Done():
			return
		case <-l.peer.killed:
			return
		}
	}
}

// logEnd returns what fails the pulls under way, and logs what is not normal.
func (l *link) logEnd(err error) *Rerror {
	detail := "the other side closed the connection"
	_, cause := l.aborted()
	l.peer.tally.refuseErr(cmp.Or(cause, err))
	switch {
	case cause != nil:
		detail = "closed by this side: " + cause.Error()
		l.peer.log().Warnf("session %s: closed: %v", l.sess.Id(), cause)
	case errors.Is(err, net.ErrClosed), err == socket.ErrNoMore:
		detail = "closed by this side"
	case err != io.EOF:
		detail = err.Error()
		l.peer.log().Warnf("session %s: closed: cannot read: %v", l.sess.Id(), err)
	}
	return NewRerror(CodeConnClosed, CodeText(CodeConnClosed), detail)
}

// linkContext is the context of handlers of pulls or pushes.
type linkContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

func newLinkContext() *linkContext {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &linkContext{ctx, cancel}
}

// overContext is that of a link which nobody has asked for its own in time.
var overContext = func() *linkContext {
	c := newLinkContext()
	c.cancel(ErrConnClosed)
	return c
}()

// contextOf returns the pullCtx or pushCtx, which it makes if there is none.
func (l *link) contextOf(c **linkContext) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *c == nil {
		*c = newLinkContext()
	}
	return (*c).Context
}

func (l *link) cancelContext(c **linkContext) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *c == nil {
		*c = overContext
		return
	}
	(*c).cancel(ErrConnClosed)
}
