package report

import (
	"fmt"
	"strings"
)

// The marks in doc/performance.md. What is between them belongs to the bench,
// the rest to who writes the manual.
const (
	beginMark = "<!-- bench: begin -->"
	endMark   = "<!-- bench: end -->"
)

// blankPage is doc/performance.md where there is none yet.
const blankPage = "# Performance\n\n" + beginMark + "\n" + endMark + "\n"

// betweenMarks returns the page with part between its marks. It would rather
// fail than guess where the part belongs: text by hand could be lost.
func betweenMarks(page, part string) (string, error) {
	for _, mark := range []string{beginMark, endMark} {
		if n := strings.Count(page, mark); n != 1 {
			return "", fmt.Errorf("has the mark %s %d times, want once", mark, n)
		}
	}
	before, rest, _ := strings.Cut(page, beginMark)
	_, after, found := strings.Cut(rest, endMark)
	if !found {
		return "", fmt.Errorf("has the mark %s before %s", endMark, beginMark)
	}
	return before + beginMark + "\n\n" + strings.Trim(part, "\n") + "\n\n" + endMark + after, nil
}
