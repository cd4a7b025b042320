package report

import "math"

// reach is a stack's two quantiles in a dotPanel, in microseconds.
type reach struct {
	stack    string
	p50, p99 float64
}

// dotPanel is a group of reaches, one below the other.
type dotPanel struct {
	name, what string
	reaches    []reach
}

// dotChart is panels side by side on one logarithmic scale, on which bars would
// have no meaning: dots do.
type dotChart struct {
	title, legend string
	panels        []dotPanel
}

const (
	dotStep   = 26
	dotLabels = 58 // beside the outermost dots
)

func (c *dotChart) svg() string {
	low, high := math.Inf(1), 0.0
	rows := 0
	for _, p := range c.panels {
		rows = max(rows, len(p.reaches))
		for _, q := range p.reaches {
			low, high = min(low, q.p50), max(high, q.p99)
		}
	}
	if rows == 0 {
		return ""
	}
	// Half decades leave no axis without room for its dots.
	from, to := math.Floor(2*math.Log10(low))/2, math.Ceil(2*math.Log10(high))/2
	if to <= from {
		to = from + 0.5
	}
	var d drawing
	for i, p := range c.panels {
		x := margin + float64(i)*(panelWidth+panelGap)
		p.draw(&d, x, headHeight, from, to, rows)
	}
	return d.document(c.title, c.legend, headHeight+panelHead+dotStep*float64(rows)+40)
}

func (p *dotPanel) draw(d *drawing, x, y, from, to float64, rows int) {
	d.pair(x, y+12, "name", p.name, "soft", p.what)
	left := x + nameWidth + dotLabels
	room := float64(panelWidth - nameWidth - 2*dotLabels)
	at := func(us float64) float64 { return left + room*(math.Log10(us)-from)/(to-from) }
	top := y + panelHead
	bottom := top + dotStep*float64(rows)
	for e := math.Ceil(from); e <= to; e++ {
		us := math.Pow(10, e)
		d.line("axis", at(us), top-4, at(us), bottom)
		d.text("soft mid", at(us), bottom+16, tick(us))
	}
	for i, q := range p.reaches {
		mid := top + dotStep*float64(i) + dotStep/2 - 2
		class := colour(q.stack)
		d.text(nameClass(q.stack), x+nameWidth, mid+4, q.stack)
		d.line(class+" reach", at(q.p50), mid, at(q.p99), mid)
		d.dot(class+" hollow", at(q.p50), mid)
		d.dot(class, at(q.p99), mid)
		d.text("end", at(q.p50)-9, mid+4, duration(q.p50))
		d.text("strong", at(q.p99)+9, mid+4, duration(q.p99))
	}
}

// tick writes a power of ten, of microseconds.
func tick(us float64) string {
	switch {
	case us < 1:
		return duration(us)
	case us < 1e3:
		return group(us) + " µs"
	case us < 1e6:
		return group(us/1e3) + " ms"
	}
	return group(us/1e6) + " s"
}
