//go:build !unix

package usage

// Files is not known here.
func Files() int { return 0 }
