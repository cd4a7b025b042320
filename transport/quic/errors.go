package quic

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	quicgo "github.com/quic-go/quic-go"
)

// codeNone is the code of QUIC errors of this package: there is nothing to tell but
// that it ends.
const codeNone = 0

// wrapError returns an error of the conn's Read or Write as package net would have
// it. All errors of quic-go match net.ErrClosed, also those that the other side or the
// network made: here only that of a conn which this side has closed does.
func (c *conn) wrapError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch {
	case c.isClosed():
		err = net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = os.ErrDeadlineExceeded
	case errors.Is(err, quicgo.ErrStreamClosed):
		err = syscall.EPIPE // after CloseWrite
	default:
		err = remoteError(err)
	}
	return &net.OpError{Op: op, Net: Scheme, Source: c.local, Addr: c.remote, Err: err}
}

// remoteError returns the error for what the other side or the network did.
func remoteError(err error) error {
	var silent *quicgo.IdleTimeoutError
	var failed *quicgo.TransportError
	switch {
	case errors.As(err, &silent):
		return fmt.Errorf("%w: %s", syscall.ETIMEDOUT, err.Error())
	case errors.As(err, &failed) && !failed.Remote:
		return fmt.Errorf("%w: %s", syscall.ECONNABORTED, err.Error())
	}
	return fmt.Errorf("%w: %s", syscall.ECONNRESET, err.Error())
}

// dialError returns the error of a dial without net.ErrClosed, which would say that this
// side had closed something; what is below, such as a x509 error, is kept.
func dialError(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return &handshakeError{err}
	}
	return err
}

// handshakeError is an error of quic-go that does not match net.ErrClosed.
type handshakeError struct{ below error }

func (e *handshakeError) Error() string { return e.below.Error() }

// As finds what is below.
func (e *handshakeError) As(target any) bool { return errors.As(e.below, target) }

// Timeout reports whether the other side said nothing for too long.
func (e *handshakeError) Timeout() bool {
	var timeout net.Error
	return errors.As(e.below, &timeout) && timeout.Timeout()
}
