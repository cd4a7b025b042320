//go:build !unix

package socket

import "syscall"

// canReadRaw is false: reads go through a small buffer, and what the reader
// must send is written by another goroutine.
const canReadRaw = false

func (in *inbox) readReady(uintptr) bool { return true }

func writeOnce(syscall.RawConn, []byte) (int, error) { return 0, nil }
