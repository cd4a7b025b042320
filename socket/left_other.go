//go:build !linux

package socket

// hasLeft cannot tell on this system.
func hasLeft(int) bool { return false }
