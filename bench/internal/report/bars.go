package report

// bar is a stack's bar in a panel.
type bar struct {
	stack string
	value Spread
	label string // the value
	note  string // behind it, less strong
}

// panel is a group of bars with a common scale.
type panel struct {
	name, what string
	bars       []bar
	mark       float64 // a value that is to be seen beside the bars; 0 for none
	markLabel  string
}

// barChart is panels in two columns. Bars begin at zero.
type barChart struct {
	title, legend string
	panels        []panel
	oneScale      bool // over all panels; otherwise each fills its own room
}

const (
	barStep     = 21
	barHeight   = 13
	nameWidth   = 62
	panelGap    = 36
	panelHead   = 26
	panelBottom = 22
	panelWidth  = (drawingWidth - 2*margin - panelGap) / 2
)

func (c *barChart) svg() string {
	if len(c.panels) == 0 {
		return ""
	}
	// The same room for labels in each panel makes the same lengths of bars.
	var greatest, labels float64
	for _, p := range c.panels {
		greatest = max(greatest, p.greatest())
		labels = max(labels, p.labels())
	}
	width := float64(panelWidth)
	if len(c.panels) == 1 {
		width = drawingWidth - 2*margin
	}
	var d drawing
	y := float64(headHeight)
	for i := 0; i < len(c.panels); i += 2 {
		var tallest float64
		for column, p := range c.panels[i:min(i+2, len(c.panels))] {
			scale := p.greatest()
			if c.oneScale {
				scale = greatest
			}
			x := margin + float64(column)*(panelWidth+panelGap)
			tallest = max(tallest, p.draw(&d, x, y, width-labels, scale))
		}
		y += tallest + panelBottom
	}
	return d.document(c.title, c.legend, y+4)
}

// greatest returns the largest value that has to fit in.
func (p *panel) greatest() float64 {
	v := p.mark
	for _, b := range p.bars {
		v = max(v, b.value.Max)
	}
	return v
}

// labels returns the room that the longest label takes behind its bar.
func (p *panel) labels() float64 {
	var width float64
	for _, b := range p.bars {
		width = max(width, textWidth(b.label)+8+textWidth(b.note))
	}
	return width + 8
}

// draw draws the panel with names and bars of the width in all, the longest of
// the value scale, and returns its height.
func (p *panel) draw(d *drawing, x, y, width, scale float64) float64 {
	d.pair(x, y+12, "name", p.name, "soft", p.what)
	left := x + nameWidth + 8
	room := width - nameWidth - 8
	at := func(v float64) float64 { return left + room*v/scale }
	top := y + panelHead
	bottom := top + barStep*float64(len(p.bars))
	d.line("axis", left, top-4, left, bottom)
	for i, b := range p.bars {
		mid := top + barStep*float64(i) + barHeight/2 + 1
		d.text(nameClass(b.stack), left-8, mid+4, b.stack)
		d.rect(colour(b.stack), left, mid-barHeight/2, max(at(b.value.Median)-left, 1), barHeight)
		if b.value.N > 1 {
			d.line("whisker", at(b.value.Min), mid, at(b.value.Max), mid)
		}
		end := at(b.value.Max)
		if mark := at(p.mark); p.mark > 0 && end < mark && mark < end+8+textWidth(b.label) {
			end = mark // the label would be struck through
		}
		d.pair(end+7, mid+4, "strong", b.label, "soft", b.note)
	}
	if p.mark > 0 {
		d.line("mark", at(p.mark), top-4, at(p.mark), bottom+2)
		d.text("mark-text mid", at(p.mark), bottom+14, p.markLabel)
		return bottom + 14 - y
	}
	return bottom - y
}
