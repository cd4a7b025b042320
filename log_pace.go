package tp

import "github.com/henrylee2cn/teleport/internal/lines"

// linePace bounds the lines of one kind that a peer logs.
type linePace struct {
	of   string // the kind
	pace lines.Pace
}

// warn logs a line, unless there were too many in this second.
func (p *linePace) warn(log Logger, format string, args ...interface{}) {
	ok, leftOut := p.pace.Next()
	if !ok {
		return
	}
	if leftOut > 0 {
		log.Warnf("%d lines of %s were left out: there are %d in a second at most", leftOut, p.of, lines.Most)
	}
	log.Warnf(format, args...)
}
