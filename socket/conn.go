package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/henrylee2cn/goutil"
)

// Options are the settings of a Conn. The zero value suits a Socket that is
// used alone. Many Conns may share one: see Complete.
type Options struct {
	// PacketLimit is the greatest packet in bytes, read and written; 0 means
	// PacketSizeLimit().
	PacketLimit uint32
	// UriLimit and MetaLimit are the greatest URI and the greatest encoded meta
	// data in bytes, read and written; 0 means that only PacketLimit bounds
	// them. See ErrExceedHeaderLimit.
	UriLimit, MetaLimit uint32
	// AllowFilter tells whether packets may go through the transfer filter with
	// the id, read and written; nil means through every one that is registered.
	// It is called by many goroutines at once. See ErrFilterNotAllowed.
	AllowFilter func(id byte) bool
	// FrameTimeout bounds the arrival of a frame once it has begun; 0 means
	// no bound, and that read deadlines are the caller's.
	FrameTimeout time.Duration
	// QueueLimit is how many bytes may wait to be written before a writer has
	// to wait; 0 means 1 MiB. A frame is admitted while less is queued before
	// it.
	QueueLimit int
	// Go runs fn in another goroutine; nil means a go statement.
	Go func(fn func())
	// OnWriteError is called once, when a write has failed and the Conn is of
	// no more use, by the goroutine that wrote. See Conn.OnWriteError for Options
	// that are shared.
	OnWriteError func(error)
}

// Complete returns a copy with the defaults in the place of what is 0 or nil. Conns
// may share it, as long as it is not changed.
func (o Options) Complete() *Options {
	if o.QueueLimit <= 0 {
		o.QueueLimit = defaultQueueLimit
	}
	if o.Go == nil {
		o.Go = func(fn func()) { go fn() }
	}
	o.fillLimits()
	return &o
}

const (
	defaultQueueLimit = 1 << 20
	// queueReserve is what the reader may add to a queue that is full, for it
	// never waits.
	queueReserve = 256 << 10
)

// Conn is the Socket that NewSocket returns, with what a session layer needs
// beyond it: writes that do not wait for the kernel, and deadlines.
//
// One goroutine reads it. Any number may write: their frames gather in an
// outgoing queue, and one of the writers, the flusher, gives it to the
// kernel for all, in as few calls as it can. No goroutine belongs to a Conn.
// While it waits for bytes, a TCP or unix Conn holds no buffer.
//
// Its fields are in groups, by who changes them: several processors use a busy
// Conn at once.
type Conn struct {
	conn       net.Conn
	opt        *Options
	proto      Proto
	foreign    *foreign // of a Proto that is not FastProto; else nil
	raw        syscall.RawConn
	unbuffered bool // the Proto is FastProto on this Conn itself, which keeps no bytes

	closed       atomic.Bool  // this side closed it
	usual        atomic.Int32 // about the size of frames: see sizeHint
	readTimeout  atomic.Int64
	writeTimeout atomic.Int64

	in inbox

	ownMu sync.Mutex // protects following
	own   *ownValues // nil as long as there are none

	onWriteError func(error) // may be nil

	out outbox
}

// foreign is what a Conn has for a Proto that is not FastProto.
type foreign struct {
	watcher FrameWatcher // the Proto, if it is one
	onSkip  func() error // may be nil

	packMu sync.Mutex // one Pack at a time; protects following
	stage  *buffer    // what a Proto that is no FrameAppender has written; nil outside of pack
}

// ownValues are what a user keeps on a Conn.
type ownValues struct {
	id     string
	public goutil.Map
}

var _ Socket = new(Conn)

// NewConn returns a Conn on c, as NewSocket does.
func NewConn(c net.Conn, opt Options, protoFunc ...ProtoFunc) *Conn {
	return opt.Complete().NewConn(c, protoFunc...)
}

// NewConn returns a Conn on c with these Options, which must be complete.
func (o *Options) NewConn(c net.Conn, protoFunc ...ProtoFunc) *Conn {
	tuneTCP(c)
	c, unread := reread(c)
	s := &Conn{conn: c, opt: o, raw: rawConn(c), onWriteError: o.OnWriteError}
	if s.raw != nil {
		s.in.ready = s.in.readReady // a closure for each read would be an allocation
	}
	newProto := DefaultProtoFunc()
	if len(protoFunc) > 0 && protoFunc[0] != nil {
		newProto = protoFunc[0]
	}
	s.preload(unread)
	s.proto = newProto(protoStream{s})
	if fast, ok := s.proto.(*FastProto); ok {
		s.unbuffered = fast.conn == s // another stream may buffer
	} else {
		s.foreign = new(foreign)
		s.foreign.watcher, _ = s.proto.(FrameWatcher)
	}
	return s
}

// rawConn returns the conn's file descriptor access, or nil. A type that
// merely embeds a *net.TCPConn has its SyscallConn too, and would be bypassed.
func rawConn(c net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return nil
	}
	if !canReadRaw {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// protoStream is the io.ReadWriter of a Proto.
type protoStream struct{ c *Conn }

func (s protoStream) Read(b []byte) (int, error) { return s.c.readBuffered(b) }

// Write adds to the frame being packed; packMu is held by pack.
func (s protoStream) Write(b []byte) (int, error) {
	stage := s.c.foreign.stage
	stage.B = append(stage.B, b...)
	return len(b), nil
}

// Proto returns the packet format of this Conn.
func (c *Conn) Proto() Proto { return c.proto }

// NetConn returns the conn below. Reading or writing it breaks the Conn.
func (c *Conn) NetConn() net.Conn { return c.conn }

// LocalAddr returns the local address.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the address of the other side.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets both deadlines, as net.Conn does.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline sets the read deadline, as net.Conn does.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline sets the write deadline, as net.Conn does. A write that
// it cuts off ends the Conn: half a frame may be out.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }

// SetReadTimeout bounds the silence between two packets; 0 or less, the
// default, does not, and leaves read deadlines to the caller unless there is
// a FrameTimeout. It takes effect with the next wait.
func (c *Conn) SetReadTimeout(d time.Duration) { c.readTimeout.Store(int64(max(d, 0))) }

// ReadTimeout returns what SetReadTimeout set.
func (c *Conn) ReadTimeout() time.Duration { return time.Duration(c.readTimeout.Load()) }

// SetWriteTimeout bounds how long the kernel may take for 64 KiB, and the wait
// for room in the outgoing queue; 0 or less, the default, does not, and
// leaves write deadlines to the caller.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.writeTimeout.Store(int64(max(d, 0))) }

// WriteTimeout returns what SetWriteTimeout set.
func (c *Conn) WriteTimeout() time.Duration { return time.Duration(c.writeTimeout.Load()) }

// Public returns the map of the user's own values on this Conn.
func (c *Conn) Public() goutil.Map {
	c.ownMu.Lock()
	defer c.ownMu.Unlock()
	own := c.ownValues()
	if own.public == nil {
		own.public = goutil.RwMap()
	}
	return own.public
}

// PublicLen returns how many values Public holds.
func (c *Conn) PublicLen() int {
	c.ownMu.Lock()
	defer c.ownMu.Unlock()
	if c.own == nil || c.own.public == nil {
		return 0
	}
	return c.own.public.Len()
}

// Id returns the id; by default it is the remote address.
func (c *Conn) Id() string {
	c.ownMu.Lock()
	defer c.ownMu.Unlock()
	if c.own == nil || c.own.id == "" {
		return c.conn.RemoteAddr().String()
	}
	return c.own.id
}

// SetId sets the id.
func (c *Conn) SetId(id string) {
	c.ownMu.Lock()
	defer c.ownMu.Unlock()
	c.ownValues().id = id
}

// ownValues returns own, which it makes if there is none. ownMu is held.
func (c *Conn) ownValues() *ownValues {
	if c.own == nil {
		c.own = new(ownValues)
	}
	return c.own
}

// OnWriteError sets what is called once when a write has failed. It is called before
// the Conn is used.
func (c *Conn) OnWriteError(fn func(error)) { c.onWriteError = fn }

// OnSkip sets what is called when the Proto has read a packet that is none for the user,
// by the goroutine that reads: see Stream.NextPacket, which returns the error. It is called
// before the Conn is used.
func (c *Conn) OnSkip(fn func() error) {
	if c.foreign != nil { // FastProto skips nothing
		c.foreign.onSkip = fn
	}
}

// ReadPacket reads the next packet: see Socket. A body that was to be held
// (Packet.HoldBody) is kept undecoded.
func (c *Conn) ReadPacket(p *Packet) error { return c.ReadPacketWithin(p, c.opt) }

// ReadPacketWithin is ReadPacket with the limits of other Options.
func (c *Conn) ReadPacketWithin(p *Packet, limits *Options) (err error) {
	c.in.mu.Lock()
	defer c.endRead(&err)
	c.in.begun, c.in.frameTimed = false, false
	p.resetHeader()
	p.limits = limits
	if err := c.proto.Unpack(p); err != nil {
		return err
	}
	return c.checkRead(p)
}

// checkRead returns why a packet that was unpacked is refused, or nil. What
// FastProto unpacks it has checked as it read it.
func (c *Conn) checkRead(p *Packet) error {
	if p.isRefused() {
		return p.more.refused
	}
	if c.TakesFrame() {
		return nil
	}
	err := p.check()
	if err != nil {
		p.refuse(err)
	}
	return err
}

// endRead is deferred, since the Proto may be the user's and panic.
func (c *Conn) endRead(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("socket: Unpack panicked: %v\n%s", r, debug.Stack())
	}
	if *err != nil && c.in.queued.Swap(false) {
		c.FlushSoon() // what the Proto has answered, for it may be the last
	}
	if *err != nil && c.closed.Load() {
		*err = ErrProactivelyCloseSocket
	}
	c.in.mu.Unlock()
}

// WritePacket packs the packet and returns when the kernel has all its bytes.
func (c *Conn) WritePacket(p *Packet) error {
	target, _, err := c.queuePacket(p, mayWait)
	if err != nil {
		return err
	}
	return c.waitWritten(p.Context(), target)
}

// QueuePacket packs the packet and queues its frame. Nil means queued: the
// frame will be written unless the Conn fails before. It waits while the
// queue is full, at most the write timeout and the packet's context. With a
// context that can end it never waits for the kernel either.
//
// Without one, and if FastProto sends a body of more than 64 KiB as it is, it
// returns when the kernel has the frame: the body is not copied.
func (c *Conn) QueuePacket(p *Packet) error {
	_, _, err := c.queuePacket(p, mayWait)
	return err
}

// QueuePacketNow is QueuePacket that fails with ErrQueueFull where that waits for
// room.
func (c *Conn) QueuePacketNow(p *Packet) error {
	_, _, err := c.queuePacket(p, needsRoom)
	return err
}

// QueuePacketNoWait is QueuePacket for the goroutine that reads, which must
// never wait. To a queue that is full it may add a reserve of 256 KiB, beyond
// which it fails with ErrQueueFull. The frame leaves when the reader next
// waits for bytes, or with those of other writers, or by FlushSoon.
func (c *Conn) QueuePacketNoWait(p *Packet) error {
	_, _, err := c.queuePacket(p, readerWrites)
	return err
}

// QueuePacketUnflushed is QueuePacket that does not write: if flush is true, the
// caller must see to it that WriteQueued or FlushSoon is called. Until then the
// frame leaves only if others write too. A large body that QueuePacket does not
// copy is written all the same.
func (c *Conn) QueuePacketUnflushed(p *Packet) (flush bool, err error) {
	_, flush, err = c.queuePacket(p, leavesFlush)
	return flush, err
}

// queuePacket leaves flushing to the caller if how says so. The target is 0 if
// the kernel has the frame already.
func (c *Conn) queuePacket(p *Packet, how patience) (target uint64, flush bool, err error) {
	p.limits = c.opt
	ctx := p.Context()
	if body, plain := c.plainBody(p); plain {
		n := fastPrefix + fastFixed + len(p.uri) + len(body)
		switch {
		case uint64(n) <= min(maxGathered, uint64(p.SizeLimit())) && !p.HasMeta():
			target, flush, err = c.out.commitBytes(c, ctx, p, n, how)
			return target, c.flushUnless(flush, ctx, how), err
		case len(body) > writeChunk && how.waitsForRoom() && ctx.Done() == nil:
			return 0, false, c.writeLarge(p, body)
		}
	}
	return c.queueEncoded(ctx, p, how)
}

// queueEncoded is queuePacket for a packet that has yet to be encoded.
func (c *Conn) queueEncoded(ctx context.Context, p *Packet, how patience) (target uint64, flush bool, err error) {
	if !c.TakesFrame() { // FastProto checks what it has encoded
		if err := p.check(); err != nil {
			return 0, false, packError(err)
		}
	}
	appender, ok := c.proto.(FrameAppender)
	if !ok {
		return c.stagePacket(ctx, p, how)
	}
	frame := getBuffer(c.sizeHint(p))
	if err := c.appendFrame(appender, frame, p); err != nil {
		putBuffer(frame)
		return 0, false, err
	}
	if target, flush, err = c.out.commit(c, ctx, frame, how); err == nil {
		c.foreign.frameQueued(p)
	}
	return target, c.flushUnless(flush, ctx, how), err
}

// largeHead is how much of a large body is copied behind its header, since a header that
// leaves alone wakes the other side for nothing.
const largeHead = 16 << 10

// writeLarge is queuePacket for a packet whose body is encoded and of more than
// writeChunk bytes. It does not copy the body, which is the user's, but for its
// beginning: it returns when that is not needed any more, since the kernel has it or the
// Conn has failed.
func (c *Conn) writeLarge(p *Packet, body []byte) (err error) {
	head := getBuffer(frameOverhead + len(p.uri) + largeHead)
	if head.B, err = appendFrameHeader(head.B, p, len(body)); err != nil {
		putBuffer(head)
		return packError(err)
	}
	head.B = append(head.B, body[:largeHead]...)
	lent := &buffer{B: body[largeHead:], shared: true, done: make(chan struct{})}
	flusher, err := c.out.commitLarge(c, head, lent)
	if err != nil {
		return err
	}
	if flusher {
		c.flush(flushRounds)
	}
	<-lent.done
	if lent.sent {
		return nil
	}
	return c.out.failure()
}

// plainBody returns the body of a packet if FastProto will send it as it is: it
// is encoded already, and there are no filters.
func (c *Conn) plainBody(p *Packet) (body []byte, plain bool) {
	if !c.TakesFrame() || p.filters().Len() > 0 {
		return nil, false
	}
	return p.encodedBody()
}

// frameOverhead is more than a frame without meta data has around URI and body.
const frameOverhead = 64

// sizeHint returns about how large the packet's frame will be. Of a body that
// has yet to be encoded it only knows the sizes of others.
func (c *Conn) sizeHint(p *Packet) int {
	if body, encoded := p.encodedBody(); encoded {
		return frameOverhead + len(p.uri) + len(body)
	}
	return int(c.usual.Load())
}

// learnSize takes note of the size of a frame. What is large is forgotten
// within some dozens of frames.
func (c *Conn) learnSize(n int) {
	usual := int(c.usual.Load())
	if n = min(max(n, usual-usual/16), writeChunk); n != usual {
		c.usual.Store(int32(n))
	}
}

func (c *Conn) appendFrame(appender FrameAppender, frame *buffer, p *Packet) (err error) {
	defer recoverPack(&err)
	b, err := appender.AppendFrame(frame.B, p)
	if err != nil {
		return packError(err)
	}
	frame.B = b
	c.learnSize(len(b))
	return nil
}

// stagePacket packs with a Proto that writes to its io.ReadWriter. Committing
// under packMu keeps the frames in the order of their Packs, which a Proto
// with state (a cipher, a dictionary) depends on. All waiting is done without
// packMu, which the reader needs too.
func (c *Conn) stagePacket(ctx context.Context, p *Packet, how patience) (target uint64, flush bool, err error) {
	a := admission{ctx: ctx, how: how}
	defer a.stop()
	for {
		if err := c.out.waitRoom(c, &a); err != nil {
			return 0, false, err
		}
		target, flush, err = c.packAndCommit(p, &a)
		if err == errNoRoom {
			continue
		}
		return target, c.flushUnless(flush, ctx, how), err
	}
}

// errNoRoom says that another writer took the room that there was.
var errNoRoom = errors.New("socket: no room in the outgoing queue")

func (c *Conn) packAndCommit(p *Packet, a *admission) (target uint64, flusher bool, err error) {
	c.foreign.packMu.Lock()
	defer c.foreign.packMu.Unlock()
	// All who waited woke together: only one of them may have the room.
	if !c.out.hasRoom(c, a) {
		return 0, false, errNoRoom
	}
	frame := getBuffer(c.sizeHint(p))
	c.foreign.stage = frame
	p.size = 0
	err = c.pack(p)
	c.foreign.stage = nil
	// A Proto that tells the size has checked it, and may have written frames that
	// waited for this one.
	if limit := p.SizeLimit(); err == nil && p.size == 0 && uint64(len(frame.B)) > uint64(limit) {
		err = fmt.Errorf("%w: %w", ErrPack, exceedError(uint64(len(frame.B)), limit))
	}
	if err != nil {
		putBuffer(frame)
		return 0, false, err
	}
	if target, flusher, err = c.out.commitAdmitted(c, frame, a.how); err == nil {
		c.foreign.frameQueued(p) // before another Pack: what it has written is not queued
	}
	return target, flusher, err
}

// frameQueued tells the Proto, if it wants to be told.
func (f *foreign) frameQueued(p *Packet) {
	if f != nil && f.watcher != nil {
		f.watcher.FrameQueued(p)
	}
}

func (c *Conn) pack(p *Packet) (err error) {
	defer recoverPack(&err)
	if err := c.proto.Pack(p); err != nil {
		return packError(err)
	}
	return nil
}

func recoverPack(err *error) {
	if r := recover(); r != nil {
		*err = packError(newPanicError(r))
	}
}

func packError(err error) error { return fmt.Errorf("%w: %w", ErrPack, err) }
