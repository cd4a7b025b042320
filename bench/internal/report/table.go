package report

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is rows of cells. The first labels columns are words, the others
// figures.
type table struct {
	labels int
	head   []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// tidy returns the table without the columns of figures in which there is none,
// and without the rows of which nothing is left.
func (t *table) tidy() *table {
	kept := &table{labels: t.labels, head: slices.Clone(t.head)}
	for _, row := range t.rows {
		if slices.ContainsFunc(row[t.labels:], func(cell string) bool { return cell != none }) {
			kept.add(slices.Clone(row)...)
		}
	}
	for c := len(kept.head) - 1; c >= t.labels; c-- {
		if slices.ContainsFunc(kept.rows, func(row []string) bool { return row[c] != none }) {
			continue
		}
		kept.head = slices.Delete(kept.head, c, c+1)
		for i := range kept.rows {
			kept.rows[i] = slices.Delete(kept.rows[i], c, c+1)
		}
	}
	return kept
}

var cellEscaper = strings.NewReplacer("|", "\\|", "<", "&lt;", "\n", " ", "\r", "")

// markdown writes the table for doc/performance.md, followed by an empty line.
func (t *table) markdown(b *strings.Builder) {
	line := func(cells []string, pad string) {
		b.WriteString("|")
		for _, cell := range cells {
			b.WriteString(pad + cellEscaper.Replace(cell) + pad + "|")
		}
		b.WriteString("\n")
	}
	line(t.head, " ")
	rule := make([]string, len(t.head))
	for i := range rule {
		if rule[i] = " --- "; i >= t.labels {
			rule[i] = " ---: "
		}
	}
	line(rule, "")
	for _, row := range t.rows {
		line(row, " ")
	}
	b.WriteString("\n")
}

// text writes the table in columns for the terminal: words to the left, figures
// to the right.
func (t *table) text(w io.Writer) {
	all := append([][]string{t.head}, t.rows...)
	widths := make([]int, len(t.head))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if i < t.labels {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	io.WriteString(w, b.String())
}
