package tp

import "reflect"

// Handler is a registered handler of pulls or pushes.
type Handler struct {
	name      string // the path; of an unknown handler, its group's
	isPull    bool
	isUnknown bool
	isPlain   bool // a URI that equals the name is its path
	argElem   reflect.Type
	replyType reflect.Type // nil of a push
	mode      DispatchMode
	plugins   *pluginChain

	// newArg makes the pointer to decode the body into. Of handlers that take
	// the bytes it is nil.
	newArg func() interface{}
	// call runs the handler with what the hooks left of that.
	call func(c *handlerCtx, arg interface{}) (interface{}, *Rerror)
}

// Name returns the path that the handler serves, or for a handler of unknown
// paths that of its group.
func (h *Handler) Name() string { return h.name }

// IsPull reports whether it handles pulls.
func (h *Handler) IsPull() bool { return h.isPull }

// IsPush reports whether it handles pushes.
func (h *Handler) IsPush() bool { return !h.isPull }

// IsUnknown reports whether it handles paths that no other handler serves.
func (h *Handler) IsUnknown() bool { return h.isUnknown }

// ArgElemType returns the type that its args point to.
func (h *Handler) ArgElemType() reflect.Type { return h.argElem }

// ReplyType returns the type of its reply, or nil for a push.
func (h *Handler) ReplyType() reflect.Type { return h.replyType }

// DispatchMode returns where it runs.
func (h *Handler) DispatchMode() DispatchMode { return h.mode }

// Plugins returns the handler's chain: the peer's, its groups' and its own.
func (h *Handler) Plugins() PluginContainer { return h.plugins }

// DispatchMode says where a handler runs.
type DispatchMode uint8

const (
	// DispatchDefault is concurrent for pulls and ordered for pushes, or
	// concurrent for both with PeerConfig.ConcurrentPush.
	DispatchDefault DispatchMode = iota
	// DispatchConcurrent runs each exchange in a goroutine of its own.
	DispatchConcurrent
	// DispatchOrdered runs the exchanges of one session one after the other,
	// in the order of their arrival: pushes and pulls in one line, as an actor
	// does. And as an actor, a handler in it that waits for a pull which the
	// other side's handler cannot answer before its own pull to this line is
	// answered waits for ever: give such pulls a context with a deadline.
	DispatchOrdered
	// DispatchInline runs the handler in the goroutine that reads the
	// connection. It saves the hand-over, which is much for a handler that does
	// little; and while it runs nothing else of its session is read. It must
	// never block, and never Pull on its own session.
	DispatchInline
)

// String returns the mode's name.
func (m DispatchMode) String() string {
	switch m {
	case DispatchDefault:
		return "default"
	case DispatchConcurrent:
		return "concurrent"
	case DispatchOrdered:
		return "ordered"
	case DispatchInline:
		return "inline"
	}
	return "unknown"
}
