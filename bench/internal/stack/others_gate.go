//go:build gate

package stack

var others []Stack
