// Package report writes what the bench measured for people to read: the
// generated part of doc/performance.md with its tables and charts, the data
// behind them as JSON, and a table for the terminal.
//
// Every figure is the median over the rounds. A ratio is taken within a round,
// between two runs that followed each other, before the median is: the noise of
// a machine that others use too weighs on both alike. What was not measured is
// left out, never guessed.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/henrylee2cn/teleport/bench/internal/result"
)

// Write writes the report into dir, the doc folder of the repository: charts
// and data.json into dir/performance, and into dir/performance.md what is
// between its two marks. The rest of that file is kept; without the file, a
// small one is made. A file without the marks is an error, and then nothing is
// written.
func Write(dir string, r *result.Report) error {
	name := filepath.Join(dir, "performance.md")
	old, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte(blankPage), nil
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	charts := drawCharts(r)
	page, err := betweenMarks(string(old), generatedPart(r, charts))
	if err != nil {
		return fmt.Errorf("report: %s: %w", name, err)
	}
	data, err := dataFile(r)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}

	figures := filepath.Join(dir, "performance")
	if err := os.MkdirAll(figures, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	// The data first: from them the rest can be made again.
	if err := os.WriteFile(filepath.Join(figures, "data.json"), data, 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for _, c := range charts {
		if err := c.write(figures); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// dataFile returns the report as JSON, its runs in the order of the tables, so
// that two reports can be compared line by line.
func dataFile(r *result.Report) ([]byte, error) {
	sorted := *r
	sorted.Runs = inOrder(r.Runs)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(&sorted)
	return b.Bytes(), err
}
