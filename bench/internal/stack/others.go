//go:build !gate

package stack

// others are the stacks that the gate does not need. It is built without them:
// an embedded message broker alone would take half of its time to compile.
var others = []Stack{DRPC{}, NetRPC{}, NATS{}}
