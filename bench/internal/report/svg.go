package report

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// drawing is an SVG that grows downwards. It is shown as an image, in which no
// style of the page applies: it brings its own white ground, legible in a light
// and in a dark theme.
type drawing struct {
	body strings.Builder
}

// Lengths are in pixels of an image that is drawingWidth wide.
const (
	drawingWidth = 960
	margin       = 28
	headHeight   = 78 // of title and legend
	charWidth    = 7.2
)

const drawingStyle = `
    text { font-family: -apple-system, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; font-size: 12px; fill: #1f2937 }
    .title { font-size: 17px; font-weight: 600 }
    .name { font-size: 14px; font-weight: 600 }
    .soft { fill: #64748b }
    .end { text-anchor: end }
    .mid { text-anchor: middle }
    .strong { font-weight: 600 }
    .raw { fill: #9ca3af; stroke: #9ca3af }
    .tp { fill: #2563eb; stroke: #2563eb }
    .other { fill: #c3cfdd; stroke: #c3cfdd }
    .tp-text { fill: #1d4ed8; font-weight: 600 }
    .hollow { fill: #ffffff; stroke-width: 2 }
    .reach { stroke-width: 3 }
    .whisker { stroke: #334155; stroke-width: 1 }
    .axis { stroke: #e2e8f0; stroke-width: 1 }
    .mark { stroke: #b45309; stroke-width: 1; stroke-dasharray: 4 3 }
    .mark-text { fill: #b45309; font-size: 11px }
  `

// escaped returns text for XML.
func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // a Builder does not fail
	return b.String()
}

// px writes a length to a tenth of a pixel.
func px(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// textWidth is about how wide a text is: enough to keep room for it.
func textWidth(s string) float64 { return float64(utf8.RuneCountInString(s)) * charWidth }

func (d *drawing) text(class string, x, y float64, text string) {
	fmt.Fprintf(&d.body, "  <text class=%q x=%q y=%q>%s</text>\n", class, px(x), px(y), escaped(text))
}

// pair writes two texts in a line. The second follows the first wherever that
// ends, in whatever font is there.
func (d *drawing) pair(x, y float64, class, text, nextClass, next string) {
	fmt.Fprintf(&d.body, "  <text x=%q y=%q><tspan class=%q>%s</tspan>", px(x), px(y), class, escaped(text))
	if next != "" {
		fmt.Fprintf(&d.body, "<tspan class=%q dx=\"8\">%s</tspan>", nextClass, escaped(next))
	}
	d.body.WriteString("</text>\n")
}

func (d *drawing) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(&d.body, "  <rect class=%q x=%q y=%q width=%q height=%q rx=\"1.5\"/>\n", class, px(x), px(y), px(width), px(height))
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.body, "  <line class=%q x1=%q y1=%q x2=%q y2=%q/>\n", class, px(x1), px(y1), px(x2), px(y2))
}

func (d *drawing) dot(class string, x, y float64) {
	fmt.Fprintf(&d.body, "  <circle class=%q cx=%q cy=%q r=\"4.5\"/>\n", class, px(x), px(y))
}

// document returns the drawing as a file.
func (d *drawing) document(title, legend string, height float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" role="img" aria-labelledby="title desc">
  <title id="title">%s</title>
  <desc id="desc">%s</desc>
  <style>%s</style>
  <rect x="0.5" y="0.5" width="%d" height="%.0f" rx="12" fill="#ffffff" stroke="#cbd5e1"/>
`, drawingWidth, height, escaped(title), escaped(legend), drawingStyle, drawingWidth-1, height-1)
	fmt.Fprintf(&b, "  <text class=\"title\" x=\"%d\" y=\"36\">%s</text>\n", margin, escaped(title))
	fmt.Fprintf(&b, "  <text class=\"soft\" x=\"%d\" y=\"57\">%s</text>\n", margin, escaped(legend))
	b.WriteString(d.body.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// colour returns the class of a stack's shapes: tp is what the page is about,
// raw what all are measured by.
func colour(stack string) string {
	switch {
	case stack == "raw":
		return "raw"
	case stack == "tp" || isVariant(stack):
		return "tp"
	}
	return "other"
}

// nameClass returns the class of a stack's name beside its shapes.
func nameClass(stack string) string {
	if colour(stack) == "tp" {
		return "end tp-text"
	}
	return "end"
}
