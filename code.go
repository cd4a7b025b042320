package tp

// Codes of the errors that the library itself answers with. They follow HTTP
// where HTTP has a fitting number. Programs choose their own codes outside of
// this list, 1000 and above by custom; 0 is an ordinary code too: an exchange
// failed when its *Rerror is not nil, whatever the code says.
const (
	// CodeConnClosed says that the connection was closed, or the session is
	// closing: before the call, or while it waited for its reply.
	CodeConnClosed = 102
	// CodeWriteFailed says that a packet was not sent: the outgoing queue
	// stayed full for the write timeout, or the connection failed under it.
	CodeWriteFailed = 104
	// CodeDialFailed says that no connection to the address came about.
	CodeDialFailed = 105
	// CodeBadPacket says that there is something wrong with the packet itself:
	// a pull or push without a uri, or one that cannot be packed (its body is
	// nothing that its codec takes, or it is over the packet limit); a uri that
	// cannot be parsed; a body or an error that cannot be decoded.
	CodeBadPacket = 400
	// CodeUnauthorized says that the other side has not shown who it is, or
	// may not do this. It is the code for plugins that check a session.
	CodeUnauthorized = 401
	// CodeNotFound says that no handler is registered for the path.
	CodeNotFound = 404
	// CodePtypeNotAllowed says that a pull came for a path that only pushes
	// serve, or a push for one that only pulls serve.
	CodePtypeNotAllowed = 405
	// CodeTimeout says that the deadline of the call passed before its reply
	// came.
	CodeTimeout = 408
	// CodeCanceled says that the caller gave up before the reply came.
	CodeCanceled = 499
	// CodeInternalServerError says that the handler or a plugin panicked, that
	// the reply cannot be packed, or that the call failed in a way that has no
	// code of its own. The text of a panic stays in the log.
	CodeInternalServerError = 500
	// CodeNotImplemented says that the body is in a codec that this side does
	// not have.
	CodeNotImplemented = 501
	// CodeBadGateway says that a proxy got no usable answer from the peer
	// behind it.
	CodeBadGateway = 502
	// CodeServiceUnavailable says that too many handlers are running. The
	// call was not executed and may be sent again.
	CodeServiceUnavailable = 503
)

// CodeText returns a short English text for a code of this package, and "" for
// any other code.
func CodeText(code int32) string {
	switch code {
	case CodeConnClosed:
		return "Connection Closed"
	case CodeWriteFailed:
		return "Write Failed"
	case CodeDialFailed:
		return "Dial Failed"
	case CodeBadPacket:
		return "Bad Packet"
	case CodeUnauthorized:
		return "Unauthorized"
	case CodeNotFound:
		return "Not Found"
	case CodePtypeNotAllowed:
		return "Packet Type Not Allowed"
	case CodeTimeout:
		return "Timeout"
	case CodeCanceled:
		return "Canceled"
	case CodeInternalServerError:
		return "Internal Server Error"
	case CodeNotImplemented:
		return "Not Implemented"
	case CodeBadGateway:
		return "Bad Gateway"
	case CodeServiceUnavailable:
		return "Service Unavailable"
	default:
		return ""
	}
}
