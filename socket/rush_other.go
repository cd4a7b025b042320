//go:build unix && (!linux || 386 || race || msan || asan)

package socket

import "syscall"

// The race detector has to see what is read and written, and 386 has no such calls.

func countRush(int) {}

func tryRead(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

func tryWrite(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
