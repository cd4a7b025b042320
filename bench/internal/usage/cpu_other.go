//go:build !unix

package usage

// cpuSeconds is not known here.
func cpuSeconds() float64 { return 0 }
