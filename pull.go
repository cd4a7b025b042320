package tp

import (
	"context"
	"errors"
	"net"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/henrylee2cn/goutil"
	"github.com/henrylee2cn/teleport/codec"
	"github.com/henrylee2cn/teleport/internal/usercode"
	"github.com/henrylee2cn/teleport/socket"
	"github.com/henrylee2cn/teleport/utils"
)

// PullCmd is a pull of this side. What it returns is settled once Pull has
// returned it or GoPull has sent it on done, and it may be kept.
type PullCmd struct {
	// What the reader touches, which is another goroutine on perhaps another
	// processor, is small and together. It belongs to who launches the pull,
	// then to who removes it from the pending pulls, then to who completes it.
	input      socket.Packet // the reply
	ready      chan struct{} // Pull: all that is set; it has room for one. Nil for GoPull
	seq        uint64
	replied    bool // a reply came
	unseen     bool // see takeCmd
	takesBytes bool // reply is a *[]byte
	unlinked   bool // it failed because the link is of no use any more
	maybe      bool // it was sent on a connection before, so it may have been executed

	rerr   *Rerror // as input
	sess   *session
	link   *link // nil if there was none
	output socket.Packet
	reply  interface{}
	hooked atomic.Pointer[context.Context] // what a plugin made of the context
	start  time.Duration                   // since processStart
	cost   time.Duration
	more   *pullMore  // nil if there is none of it
	async  *asyncPull // of GoPull
}

// pullMore is what few pulls have.
type pullMore struct {
	ctx     context.Context // of WithContext, if DefaultPullTimeout bounds it
	printed printedBodies   // if the log prints them
	done    []func(*Rerror) // of OnDone
}

func (c *PullCmd) needMore() *pullMore {
	if c.more == nil {
		c.more = new(pullMore)
	}
	return c.more
}

// asyncPull is what GoPull adds.
type asyncPull struct {
	done chan *PullCmd
	// parts counts what is over: the launch in the goroutine of GoPull, and the
	// removal from the pending pulls. Whoever ends the second one completes.
	parts   atomic.Int32
	ctx     context.Context // that bounds the pull
	unwatch func() bool     // of the context's AfterFunc; nil if there is none
	release context.CancelFunc
}

var (
	_ WriteCtx = new(PullCmd)
	_ ReadCtx  = new(PullCmd) // of the hooks of the reply
	_ task     = new(PullCmd)
)

// Pull calls the handler of uri and waits for its reply.
func (s *session) Pull(uri string, args interface{}, reply interface{}, setting ...socket.PacketSetting) *PullCmd {
	cmd := new(PullCmd)
	cmd.fill(s, uri, args, reply, setting)
	cmd.exchange(cmd.bound())
	return cmd
}

// exchange does a pull that is filled and bounded: it sends it and waits until it is
// finished, on as many connections as it takes.
func (c *PullCmd) exchange(ctx context.Context, cancel context.CancelFunc) {
	peer := c.sess.peer
	if c.ready == nil {
		c.ready = peer.takeReady()
	}
	for again := true; again; again = c.again() {
		if c.launch() {
			c.await(ctx)
		}
	}
	if cancel != nil {
		cancel()
	}
	if !c.unseen {
		peer.readies.Put(c.ready)
		c.ready = nil
	}
	c.complete()
}

// again reports whether the pull, which is finished, is to be sent again on the next
// connection of its session: it was not sent, or may be executed twice.
func (c *PullCmd) again() bool {
	if !c.unlinked || c.sess.redial == nil || c.sess.phase.Load() != phaseOpen {
		return false
	}
	if c.rerr.MaybeSent() && !c.output.Idempotent() {
		return false
	}
	if c.link != nil {
		c.link.refuse() // nobody else need try it
	}
	c.maybe = c.maybe || c.rerr.MaybeSent()
	c.tellDone(c.rerr)
	c.rerr, c.unlinked = nil, false
	return true
}

// await waits until the pull is finished, or its context ends.
//
// The collector halves each stack of which little is in use: with this much of it, none
// of 8 KiB, which a codec may need. It would be doubled by the next call, and each time
// be copied, frame by frame (doc/adr/0023).
//
//go:noinline
func (c *PullCmd) await(ctx context.Context) {
	var room [512]byte
	done := ctx.Done()
	if done == nil {
		<-c.ready
		runtime.KeepAlive(&room)
		return
	}
	select {
	case <-c.ready:
	case <-done:
		if !c.abandon(ctx) {
			<-c.ready // it is being finished at this moment
		}
	}
	runtime.KeepAlive(&room)
}

// hidesPull reports whether nobody but the library sees the PullCmd of a pull
// of which the caller wants only the result: no hook, no setting, and no Proto
// but ours.
func (s *session) hidesPull(setting []socket.PacketSetting) bool {
	return len(setting) == 0 && !s.peer.plugins.seesPulls() && s.link().conn.TakesFrame()
}

// takeReady returns a channel for PullCmd.ready. When the pull is finished it is
// empty, nobody will send on it any more, and it can be used again. The channels
// belong to the peer, for those made in a bubble of testing/synctest must not
// leave it.
func (p *Peer) takeReady() chan struct{} {
	if ready, ok := p.readies.Get().(chan struct{}); ok {
		return ready
	}
	return make(chan struct{}, 1)
}

// hiddenPull is the PullCmd of a hidden pull, with a channel of its own.
type hiddenPull struct {
	PullCmd
	bytes []byte // the reply, if that is what the caller wants
}

// takeCmd returns a hiddenPull. It is to be given back.
//
//go:noinline
func (p *Peer) takeCmd() *hiddenPull {
	if cmd, ok := p.cmds.Get().(*hiddenPull); ok {
		return cmd
	}
	return &hiddenPull{PullCmd: PullCmd{unseen: true, ready: make(chan struct{}, 1)}}
}

// giveCmd takes it back when it is finished.
//
//go:noinline
func (p *Peer) giveCmd(cmd *hiddenPull) {
	*cmd = hiddenPull{PullCmd: PullCmd{unseen: true, ready: cmd.ready}}
	p.cmds.Put(cmd)
}

// GoPull calls the handler of uri and sends the finished PullCmd on done.
func (s *session) GoPull(uri string, args interface{}, reply interface{}, done chan *PullCmd, setting ...socket.PacketSetting) {
	if done == nil {
		panic("tp: GoPull: done is nil: make it with room for the pulls under way, or use Pull")
	}
	cmd := new(PullCmd)
	cmd.fill(s, uri, args, reply, setting)
	ctx, release := cmd.bound()
	cmd.async = &asyncPull{done: done, ctx: ctx, release: release}
	if _, rerr := s.live(); rerr != nil && s.redial != nil {
		cmd.unlinked, cmd.rerr = true, rerr // run waits for a link
		s.peer.pool.mustStart(cmd)
		return
	}
	launched := cmd.launch()
	if !launched {
		cmd.async.parts.Add(1) // nobody else will finish it
	}
	cmd.async.unwatch = context.AfterFunc(ctx, func() {
		if launched && cmd.abandon(ctx) {
			cmd.partOver()
		}
	})
	cmd.partOver()
}

var processStart = time.Now()

// sinceStart reads the monotonic clock only, which is half the work of
// time.Now.
func sinceStart() time.Duration { return time.Since(processStart) }

func (c *PullCmd) fill(s *session, uri string, args, reply interface{}, setting []socket.PacketSetting) {
	c.sess, c.reply = s, reply
	_, c.takesBytes = reply.(*[]byte)
	if c.timed() {
		c.start = sinceStart()
	}
	fillLaunch(&c.output, s.peer, uri, args, setting)
	c.output.SetPtype(TypePull)
}

// fillLaunch fills a pull or push.
func fillLaunch(p *socket.Packet, peer *Peer, uri string, args interface{}, setting []socket.PacketSetting) {
	p.SetUri(uri)
	p.SetBody(args)
	for _, set := range setting {
		if set != nil {
			set(p)
		}
	}
	if p.BodyCodec() == codec.NilCodecId {
		p.SetBodyCodec(peer.defaultBodyCodec())
	}
	if peer.plugins.writesLaunch() { // they may add to it, and it may be the user's
		p.OwnMeta()
	}
}

// bound returns the context that ends the pull; with no bound it never does.
// What cancels it is nil if there is nothing to release.
func (c *PullCmd) bound() (context.Context, context.CancelFunc) {
	ctx := c.output.Context()
	d := c.sess.peer.cfg.DefaultPullTimeout
	if d <= 0 {
		return ctx, nil
	}
	bounded, cancel := context.WithTimeout(ctx, d)
	c.boundBy(bounded)
	return bounded, cancel
}

// boundBy has the pull end with ctx. The user and the plugins see the context that it had.
func (c *PullCmd) boundBy(ctx context.Context) {
	c.needMore().ctx = c.output.Context()
	c.output.SetContext(ctx)
}

// launch sends the pull. False means that it has failed already, and that
// nobody else finishes it.
//
// It is in parts, so that little lies on the stack where a codec runs (doc/adr/0023).
func (c *PullCmd) launch() (launched bool) { return c.enter() && c.transmit() }

// enter makes the pull one of the pending, unless it fails before.
func (c *PullCmd) enter() bool {
	if c.rerr = c.mislaunched(); c.rerr != nil {
		return false
	}
	c.link, c.rerr = c.sess.awaitLive(c.output.Context())
	if c.rerr != nil {
		return false
	}
	l := c.link
	c.seq = l.pullSeq.Add(1) - 1
	c.output.SetSeq(c.seq)
	if c.rerr = c.plugins().PreWritePull(c); c.rerr != nil {
		return false
	}
	if c.sess.peer.cfg.PrintBody {
		c.needMore().printed.out = outText(&c.output)
	}
	if rerr := l.pending.add(c); rerr != nil {
		c.rerr, c.unlinked = rerr, true
		return false
	}
	// From here on c.rerr belongs to whoever removes c from there.
	l.wakeReader()
	return true
}

// mislaunched returns why the pull cannot be sent as it is, or nil.
func (c *PullCmd) mislaunched() *Rerror {
	if c.output.Uri() == "" {
		return notSent(CodeBadPacket, "the URI of the pull is empty")
	}
	if v := reflect.ValueOf(c.reply); v.IsValid() && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return notSent(CodeBadPacket, "the reply is "+describe(c.reply)+": pass a pointer to decode into, or nil if it is not wanted")
	}
	if err := c.output.Context().Err(); err != nil {
		return writeRerror(err)
	}
	return nil
}

// transmit is launch of a pull that is among the pending.
func (c *PullCmd) transmit() (launched bool) {
	returned := false
	defer func() {
		if !returned { // the codec of the args or a hook ended the goroutine
			c.withdraw()
		}
	}()
	err := c.link.send(&c.output)
	if err != nil {
		returned = true
		return c.unsent(err)
	}
	c.tellWritten()
	returned = true
	return true
}

// unsent takes back a pull that could not be sent. True means that somebody else
// finishes it.
func (c *PullCmd) unsent(err error) bool {
	if c.link.pending.remove(c.seq) != c {
		return true // the link has failed too
	}
	c.link.settle()
	c.rerr, c.unlinked = writeRerror(err), isUnlinked(err)
	return false
}

// tellWritten runs the PostWritePull hooks.
func (c *PullCmd) tellWritten() {
	if rerr := c.plugins().PostWritePull(c); rerr != nil {
		c.sess.peer.log().Warnf("session %s: PostWritePull of %q: %v", c.sess.Id(), c.output.Uri(), rerr)
	}
}

// withdraw sees to it that nobody else has to do with a pull whose goroutine ends.
func (c *PullCmd) withdraw() {
	defer c.tellDone(hookGone("a hook or the codec of the args"))
	switch {
	case c.link.pending.abandon(c.seq) == c:
		c.link.settle()
	case c.ready != nil:
		<-c.ready // it is being finished at this moment
	}
}

// writeRerror tells what kept a pull or push from being sent.
func writeRerror(err error) *Rerror {
	switch {
	case errors.Is(err, socket.ErrPack):
		return notSent(CodeBadPacket, err.Error())
	case errors.Is(err, net.ErrClosed):
		return notSent(CodeConnClosed, err.Error())
	case errors.Is(err, socket.ErrQueueTimeout):
		return notSent(CodeWriteFailed, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return notSent(ToRerror(err).Code, err.Error())
	}
	return notSent(CodeWriteFailed, err.Error())
}

// isUnlinked reports whether what kept a packet from being sent is that the link is
// of no use any more.
func isUnlinked(err error) bool {
	return !errors.Is(err, socket.ErrPack) && !errors.Is(err, socket.ErrQueueTimeout) && !errors.Is(err, socket.ErrQueueFull) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// abandon finishes the pull because ctx ended, unless someone else does.
func (c *PullCmd) abandon(ctx context.Context) bool {
	if c.link.pending.abandon(c.seq) != c {
		return false
	}
	c.link.settle()
	c.link.sendCancel(c.seq)
	c.rerr = ToRerror(ctx.Err())
	return true
}

// take takes over the reply.
func (c *PullCmd) take(reply *socket.Packet) {
	c.input = *reply
	*reply = socket.Packet{}
	c.replied = true
}

// fail finishes the pull without a reply. Its caller has removed it.
func (c *PullCmd) fail(why *Rerror) {
	c.rerr, c.unlinked = why.Copy(), true
	c.finished()
}

func (c *PullCmd) finished() {
	if c.ready == nil {
		c.partOver()
		return
	}
	c.ready <- struct{}{}
}

// partOver completes an asynchronous pull on a worker after its second part:
// the reader must not decode, and a full done must not hold it up.
func (c *PullCmd) partOver() {
	if c.async.parts.Add(1) == 2 {
		c.sess.peer.pool.mustStart(c)
	}
}

// run is the worker's part of a GoPull. The PullCmd is delivered also when a
// hook or a codec ends the goroutine.
func (c *PullCmd) run() {
	completed := false
	defer func() {
		if !completed {
			c.rerr = hookGone("a hook or the codec of the reply")
			c.tellDone(c.rerr)
		}
		c.deliver()
	}()
	if c.async.unwatch != nil {
		c.async.unwatch()
	}
	for c.again() {
		if c.ready == nil {
			c.ready = make(chan struct{}, 1)
		}
		if c.launch() {
			c.await(c.async.ctx)
		}
	}
	if c.async.release != nil {
		c.async.release()
	}
	c.complete()
	completed = true
}

// deliver sends the PullCmd on done, at the latest when there is room.
func (c *PullCmd) deliver() {
	if !usercode.Hand(c.async.done, c, c.sess.peer.killed) {
		c.sess.peer.log().Warnf("session %s: the pull of %q was finished, but nobody took it from done", c.sess.Id(), c.output.Uri())
	}
}

// complete decodes the reply, in the goroutine that waits for it.
func (c *PullCmd) complete() {
	if c.more == nil || len(c.more.done) == 0 {
		c.completeUntold()
		return
	}
	returned := false
	defer func() {
		rerr := c.rerr
		if !returned {
			rerr = hookGone("a hook or the codec of the reply")
		}
		c.tellDone(rerr)
	}()
	c.completeUntold()
	returned = true
}

// completeUntold is complete without telling those of OnDone.
func (c *PullCmd) completeUntold() {
	if c.replied {
		c.readReply()
	}
	if c.maybe && c.rerr != nil && !c.rerr.MaybeSent() {
		c.rerr = NewRerror(c.rerr.Code, c.rerr.Message, resentPrefix+c.rerr.Detail)
	}
	if c.timed() {
		c.cost = sinceStart() - c.start
		c.logExchange()
		c.tellOver()
	}
}

// noPlugins is a chain without hooks.
var noPlugins = newPluginChain(nil)

// plugins returns those whose hooks see the pull.
func (c *PullCmd) plugins() *pluginChain {
	if c.unseen { // one that was added meanwhile comes too late
		return noPlugins
	}
	return c.sess.peer.plugins
}

// timed reports whether anyone can ask how long the pull took.
func (c *PullCmd) timed() bool { return !c.unseen || c.sess.peer.observes }

func (c *PullCmd) readReply() {
	defer c.input.ReleaseBody()
	if c.rerr != nil {
		return
	}
	if c.rerr = c.plugins().PostReadReplyHeader(c); c.rerr != nil {
		return
	}
	if c.rerr = c.plugins().PreReadReplyBody(c); c.rerr != nil {
		return
	}
	if c.input.HasMeta() {
		c.rerr = NewRerrorFromMeta(c.input.Meta())
	}
	if c.sess.peer.cfg.PrintBody {
		c.printInput()
	}
	c.input.SetBody(c.reply)
	if err := c.input.DecodeBody(); err != nil && c.rerr == nil {
		c.rerr = undecodable(err)
	}
	if veto := c.plugins().PostReadReplyBody(c); veto != nil {
		c.rerr = veto
	}
}

//go:noinline
func (c *PullCmd) printInput() { c.needMore().printed.in = clip(c.input.HeldBody()) }

//go:noinline
func undecodable(err error) *Rerror {
	return NewRerror(CodeBadPacket, CodeText(CodeBadPacket), "the reply: "+err.Error())
}

// OnDone has fn called once, with what Rerror returns, when the pull is over, whatever
// came of it: a reply, an error, a veto, a deadline, a connection that was lost. It is
// for PreWritePull hooks, whose WriteCtx is the PullCmd, and must be called in them:
//
//	func (p *plugin) PreWritePull(ctx tp.WriteCtx) *tp.Rerror {
//		ctx.(*tp.PullCmd).OnDone(func(rerr *tp.Rerror) { ... })
//
// A pull that is sent again, on the next connection of its session, is over on the one
// before, and the hooks run again. Fn runs before Pull returns or GoPull sends the
// PullCmd on done, in the goroutine of Pull or one of the peer's; of several, the last
// runs first.
func (c *PullCmd) OnDone(fn func(rerr *Rerror)) {
	more := c.needMore()
	more.done = append(more.done, fn)
}

// tellDone calls those of OnDone.
func (c *PullCmd) tellDone(rerr *Rerror) {
	if c.more == nil {
		return
	}
	done := c.more.done
	c.more.done = nil
	for _, fn := range slices.Backward(done) {
		c.sess.peer.safely(func() { fn(rerr) }).run()
	}
}

// Rerror returns why the pull failed, or nil.
func (c *PullCmd) Rerror() *Rerror { return c.rerr }

// Result returns the reply that Pull was given to decode into, and why the
// pull failed.
func (c *PullCmd) Result() (interface{}, *Rerror) { return c.reply, c.rerr }

// CostTime returns how long the pull took, from the call to the decoded
// reply.
func (c *PullCmd) CostTime() time.Duration { return c.cost }

// Output returns the packet that was sent.
func (c *PullCmd) Output() *socket.Packet { return &c.output }

// Input returns the packet of the reply; it is empty if none came.
func (c *PullCmd) Input() *socket.Packet { return &c.input }

// InputMeta returns the meta data of the reply; it is empty if none came.
func (c *PullCmd) InputMeta() *utils.Args { return c.input.Meta() }

// InputBodyCodec returns the id of the codec of the reply's body, or 0.
func (c *PullCmd) InputBodyCodec() byte { return c.input.BodyCodec() }

// Context returns the context of WithContext, or what a plugin made of it.
func (c *PullCmd) Context() context.Context {
	if ctx := c.hooked.Load(); ctx != nil {
		return *ctx
	}
	if c.more != nil && c.more.ctx != nil {
		return c.more.ctx
	}
	return c.output.Context()
}

// SetContext replaces the context, for plugins. It is safe for concurrent use: what a hook
// has started may ask for the context while the next hook replaces it.
func (c *PullCmd) SetContext(ctx context.Context) { c.hooked.Store(&ctx) }

// Public returns the session's map of the user's own values.
func (c *PullCmd) Public() goutil.Map { return c.sess.Public() }

// PublicLen returns how many values Public holds.
func (c *PullCmd) PublicLen() int { return c.sess.PublicLen() }

// Ip returns the address of the other side, with its port.
func (c *PullCmd) Ip() string { return c.sess.RemoteIp() }

// Peer returns the peer.
func (c *PullCmd) Peer() *Peer { return c.sess.peer }

// Session returns the session.
func (c *PullCmd) Session() Session { return c.sess }
