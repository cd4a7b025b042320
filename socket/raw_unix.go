//go:build unix

package socket

import (
	"io"
	"os"
	"syscall"
)

// canReadRaw says that a conn can wait for bytes without holding a buffer.
const canReadRaw = true

// readReady is called by syscall.RawConn.Read whenever fd may be readable. It
// takes a buffer for the attempt only.
func (in *inbox) readReady(fd uintptr) bool {
	in.acquire()
	b := in.buf
	b.r, b.w = 0, 0
	for {
		n, err := tryRead(fd, b.mem)
		switch err {
		case nil:
			if n <= 0 {
				b.err = io.EOF
				return true
			}
			b.w = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			in.release()
			return false
		default:
			b.err = os.NewSyscallError("read", err)
			return true
		}
	}
}

// try is called by syscall.RawConn.Write. It never waits.
func (w *onceWrite) try(fd uintptr) bool {
	for {
		n, err := tryWrite(fd, w.b)
		switch err {
		case nil:
			w.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			w.err = os.NewSyscallError("write", err)
		}
		return true
	}
}
