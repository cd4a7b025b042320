package tp

// Types of packets. 1 to 3 are those of teleport v3; 4 and above are sent
// only to a peer that announced that it understands them.
const (
	// TypeUndefined is the zero value. It is never sent.
	TypeUndefined byte = 0
	// TypePull calls a handler of the other side, which replies.
	TypePull byte = 1
	// TypeReply answers a pull.
	TypeReply byte = 2
	// TypePush sends to a handler of the other side, which does not reply.
	TypePush byte = 3
	// TypeCancel says that the caller of a pull gave up.
	TypeCancel byte = 4
	// TypeGoAway says that this side will send no more pulls and pushes.
	TypeGoAway byte = 5
	// TypePing asks for a TypePong.
	TypePing byte = 6
	// TypePong answers a TypePing and repeats its sequence number.
	TypePong byte = 7
)

// TypeText returns the name of a packet type.
func TypeText(typ byte) string {
	switch typ {
	case TypePull:
		return "PULL"
	case TypeReply:
		return "REPLY"
	case TypePush:
		return "PUSH"
	case TypeCancel:
		return "CANCEL"
	case TypeGoAway:
		return "GOAWAY"
	case TypePing:
		return "PING"
	case TypePong:
		return "PONG"
	}
	return "Undefined"
}
