package matrix

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// table is a table of results, in Markdown.
type table struct {
	mu      sync.Mutex // protects following
	corner  string
	rows    []string
	columns []string
	cells   map[string]map[string]string
}

func (m *table) set(row, column, cell string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cells == nil {
		m.cells = make(map[string]map[string]string)
	}
	if m.cells[row] == nil {
		m.cells[row] = make(map[string]string)
		m.rows = append(m.rows, row)
	}
	if !slices.Contains(m.columns, column) {
		m.columns = append(m.columns, column)
	}
	m.cells[row][column] = cell
}

func (m *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|%s\n", m.corner, strings.Join(m.columns, " | "), strings.Repeat(" --- |", len(m.columns)+1))
	for _, row := range m.rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range m.columns {
			fmt.Fprintf(&b, " %s |", m.cells[row][column])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestMatrix holds the conversation in each combination of two things, the others being
// the plainest there are, and prints the tables. A combination that stands in several
// of them is held once.
func TestMatrix(t *testing.T) {
	plain := setting{transports[0], protos[0], codecs[0], filters[0]}
	var tables []*table
	var held sync.Map // setting.String() -> cell
	compare := func(corner string, each func(m *table, hold func(row, column string, s setting))) {
		m := &table{corner: corner}
		tables = append(tables, m)
		t.Run(corner, func(t *testing.T) { // until the conversations of this table are over
			each(m, func(row, column string, s setting) {
				if was, ok := held.Load(s.String()); ok {
					m.set(row, column, was.(string))
					return
				}
				m.set(row, column, "NOT HELD") // its place, whichever is over first
				t.Run(row+"/"+column, func(t *testing.T) {
					t.Parallel()
					became := cell(s.hold(t))
					held.Store(s.String(), became)
					m.set(row, column, became)
				})
			})
		})
	}
	compare("transport, protocol", func(m *table, hold func(string, string, setting)) {
		for _, x := range transports {
			for _, y := range protos {
				s := plain
				s.transport, s.proto = x, y
				hold(x.name, y.name, s)
			}
		}
	})
	compare("codec, protocol", func(m *table, hold func(string, string, setting)) {
		for _, x := range codecs {
			for _, y := range protos {
				s := plain
				s.codec, s.proto = x, y
				if y.codecs != "" && !strings.ContainsRune(y.codecs, rune(x.id)) {
					m.set(x.name, y.name, "not carried")
					continue
				}
				hold(x.name, y.name, s)
			}
		}
	})
	compare("filter, protocol", func(m *table, hold func(string, string, setting)) {
		for _, x := range filters {
			for _, y := range protos {
				s := plain
				s.filter, s.proto = x, y
				if x.id != 0 && y.filters != "" && !strings.ContainsRune(y.filters, rune(x.id)) {
					m.set(x.name, y.name, "not carried")
					continue
				}
				hold(x.name, y.name, s)
			}
		}
	})
	compare("filter, codec", func(m *table, hold func(string, string, setting)) {
		for _, x := range filters {
			for _, y := range codecs {
				s := plain
				s.filter, s.codec = x, y
				hold(x.name, y.name, s)
			}
		}
	})
	for _, m := range tables {
		fmt.Fprintln(os.Stdout, m)
	}
}

// cell says what became of the steps of a conversation.
func cell(results map[string]string) string {
	var failed, without []string
	for _, step := range steps {
		switch results[step] {
		case "":
		case "FAILED":
			failed = append(failed, step)
		default:
			without = append(without, step)
		}
	}
	switch {
	case failed != nil:
		return "FAILED: " + strings.Join(failed, ", ")
	case without != nil:
		return "all but " + strings.Join(without, ", ")
	}
	return "all"
}
