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

// writeOnce gives the kernel as much of b as it takes at once.
func writeOnce(raw syscall.RawConn, b []byte) (n int, err error) {
	rawErr := raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), b)
			if err != syscall.EINTR {
				return true
			}
		}
	})
	if rawErr != nil {
		return 0, rawErr
	}
	if err == syscall.EAGAIN {
		return 0, nil
	}
	if err != nil {
		return 0, os.NewSyscallError("write", err)
	}
	return n, nil
}
