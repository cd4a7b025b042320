//go:build linux && !386 && !race && !msan && !asan

package socket

// InRush reports whether there is a rush.
func InRush() bool { return rush.on.Load() }
