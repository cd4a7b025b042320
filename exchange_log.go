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
	kind    string // what this side did
	sess    *session
	packet  *socket.Packet // that began it
	rerr    *Rerror
	cost    time.Duration
	in      *socket.Packet // nil if none
	inText  string
	out     *socket.Packet // nil if none
	outText string
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
		e.printPacket(&b, " in", e.in, e.inText)
		e.printPacket(&b, " out", e.out, e.outText)
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

// outText returns the body that is sent, for the log, if that prints bodies:
// it is encoded once more. Only who sends may call it, for the body is the
// user's.
func (p *Peer) outText(out *socket.Packet) string {
	if !p.cfg.PrintBody {
		return ""
	}
	body, err := out.MarshalBody()
	if err != nil {
		return err.Error()
	}
	return clip(body)
}

// logExchange logs a pull or push of the other side.
func (c *handlerCtx) logExchange(rerr *Rerror, out *socket.Packet) {
	if !c.sess.peer.observes {
		return
	}
	line := exchangeLine{
		kind: "handled push", sess: c.sess, packet: &c.input, rerr: rerr, cost: time.Since(c.start),
		in: &c.input, inText: c.text, out: out,
	}
	if out != nil {
		line.kind, line.outText = "handled pull", c.sess.peer.outText(out)
	}
	line.write()
}

// logExchange logs a pull of this side.
func (c *PullCmd) logExchange() {
	if !c.sess.peer.observes {
		return
	}
	line := exchangeLine{kind: "pulled", sess: c.sess, packet: &c.output, rerr: c.rerr, cost: c.cost, out: &c.output, outText: c.text}
	if c.input != nil {
		line.in, line.inText = c.input, c.inputText
	}
	line.write()
}

// logExchange logs a push of this side.
func (c *pushCmd) logExchange(start time.Time, rerr *Rerror) {
	(&exchangeLine{
		kind: "pushed", sess: c.sess, packet: &c.output, rerr: rerr, cost: time.Since(start),
		out: &c.output, outText: c.sess.peer.outText(&c.output),
	}).write()
}
