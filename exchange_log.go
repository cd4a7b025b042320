package tp

import (
	"fmt"
	"strings"
	"time"

	"github.com/henrylee2cn/teleport/socket"
)

// maxPrinted is how much of a body the log shows.
const maxPrinted = 4 << 10

// clip returns a body for the log.
func clip(b []byte) string {
	if len(b) <= maxPrinted {
		return string(b)
	}
	return fmt.Sprintf("%s... (%d bytes in all)", b[:maxPrinted], len(b))
}

// exchangeLine is a line of the log about an exchange that is over.
type exchangeLine struct {
	kind   string // what this side did
	sess   *session
	packet *socket.Packet // that began it
	rerr   *Rerror
	cost   time.Duration
	in     *socket.Packet // nil if none
	out    *socket.Packet // nil if none
	printedBodies
}

// write logs the line as PeerConfig wants it: a slow exchange is a warning,
// another is logged only with PrintBody or CountTime.
func (e *exchangeLine) write() {
	p := e.sess.peer
	slow := p.cfg.SlowCometDuration > 0 && e.cost > p.cfg.SlowCometDuration
	if !slow && !p.cfg.PrintBody && !p.cfg.CountTime {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s uri=%q seq=%d", e.kind, e.sess.Id(), clipURI(e.packet.Uri()), e.packet.Seq())
	if e.rerr != nil {
		fmt.Fprintf(&b, " status=%v", e.rerr)
	} else {
		b.WriteString(" status=ok")
	}
	if slow || p.cfg.CountTime {
		fmt.Fprintf(&b, " cost=%v", e.cost)
	}
	if p.cfg.PrintBody {
		e.printPacket(&b, " in", e.in, e.printedBodies.in)
		e.printPacket(&b, " out", e.out, e.printedBodies.out)
	}
	if slow {
		p.log().Warnf("slow: %s", b.String())
		return
	}
	p.log().Infof("%s", b.String())
}

func (e *exchangeLine) printPacket(b *strings.Builder, name string, p *socket.Packet, body string) {
	if p == nil {
		return
	}
	meta := ""
	if p.HasMeta() {
		meta = p.Meta().String()
	}
	fmt.Fprintf(b, "%s={size=%d codec=%d meta=%q body=%s}", name, p.Size(), p.BodyCodec(), meta, body)
}

// printedBodies are the bodies of an exchange, for a log that prints them.
type printedBodies struct{ in, out string }

// outText returns the body that is sent, for the log: it is encoded once more.
// Only who sends may call it, for the body is the user's.
func outText(out *socket.Packet) string {
	body, err := out.MarshalBody()
	if err != nil {
		return err.Error()
	}
	return clip(body)
}

// logExchange logs a pull or push of the other side.
func (c *handlerCtx) logExchange(rerr *Rerror, out *socket.Packet) {
	if !c.link.peer.observes {
		return
	}
	more := c.needMore()
	line := exchangeLine{kind: "handled push", sess: c.link.sess, packet: &c.input, rerr: rerr, cost: sinceStart() - more.start, in: &c.input, out: out}
	if out != nil {
		line.kind = "handled pull"
	}
	if c.link.peer.cfg.PrintBody {
		if more.printed != nil {
			line.printedBodies = *more.printed
		}
		if out != nil {
			line.printedBodies.out = outText(out)
		}
	}
	line.write()
}

// logExchange logs a pull of this side.
func (c *PullCmd) logExchange() {
	if !c.sess.peer.observes {
		return
	}
	line := exchangeLine{kind: "pulled", sess: c.sess, packet: &c.output, rerr: c.rerr, cost: c.cost, out: &c.output}
	if c.replied {
		line.in = &c.input
	}
	if c.more != nil {
		line.printedBodies = c.more.printed
	}
	line.write()
}

// logExchange logs a push of this side.
func (c *pushCmd) logExchange(start time.Duration, rerr *Rerror) {
	if !c.sess.peer.observes {
		return
	}
	line := exchangeLine{kind: "pushed", sess: c.sess, packet: &c.output, rerr: rerr, cost: sinceStart() - start, out: &c.output}
	if c.sess.peer.cfg.PrintBody {
		line.printedBodies.out = outText(&c.output)
	}
	line.write()
}
