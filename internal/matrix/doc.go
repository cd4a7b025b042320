// Package matrix holds the same conversation over the transports, packet formats,
// codecs and filters of this repository, in the combinations that make sense, and
// prints what came of each:
//
//	go test -v -run TestMatrix ./internal/matrix
//
// It is a module of its own, since it needs what all of them need.
package matrix
