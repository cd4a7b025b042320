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
	for {
		n, err := syscall.Read(int(fd), in.buf)
		switch err {
		case nil:
			if n <= 0 {
				in.err = io.EOF
				return true
			}
			in.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			in.release()
			return false
		default:
			in.err = os.NewSyscallError("read", err)
			return true
		}
	}
}

// writeReady is called by syscall.RawConn.Write. It never waits.
func (o *outbox) writeReady(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), o.chunk)
		switch err {
		case nil:
			o.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			o.onceErr = os.NewSyscallError("write", err)
		}
		return true
	}
}
