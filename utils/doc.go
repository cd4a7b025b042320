// Package utils holds Args, the ordered list of key/value pairs that carries
// the metadata of a packet and the query of its URI.
//
// Fill an Args with Add and Set or with Parse, read it with Peek and the Get
// methods, and write it in query-string form with AppendBytes:
//
//	var meta utils.Args
//	meta.Set("X-Trace", "7f3a")
//	meta.Add("tag", "a b")
//	frame = meta.AppendBytes(frame) // X-Trace=7f3a&tag=a%20b
//
// An Args keeps its own copy of everything that it is given. It is meant for
// tens of pairs, since looking up a key compares them one by one, and it does
// not limit its size: whoever reads from the network bounds what goes into
// Parse.
package utils
