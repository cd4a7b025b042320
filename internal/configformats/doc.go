// Package configformats holds a test: a PeerConfig is read from YAML and INI.
// It is a module of its own so that no user of the library gets the parsers.
package configformats
