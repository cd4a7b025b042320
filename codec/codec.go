// Package codec turns the body of a packet into bytes and back.
//
// Three codecs are registered: JSON ('j'), protocol buffers ('p') and plain
// strings ('s'). A packet carries the id of its codec in one byte, so both
// sides of a connection must have registered the same codecs under the same
// ids. Reg adds a codec, or replaces one by another implementation of the
// same format:
//
//	codec.Reg(cborCodec{})
//	c, err := codec.GetByName("cbor")
//
// The packages below this one, such as codec/msgpack, are more codecs, each of which
// registers itself when it is imported: doc/codecs.md has the list.
//
// A body of no bytes is the zero value for every codec here, and unmarshaling
// into nil drops the body. The codecs do not limit sizes: whoever reads from
// the network bounds what goes into Unmarshal.
package codec

const (
	// NilCodecId is the codec id of a packet that names no codec for its
	// body. No codec can have it.
	NilCodecId byte = 0
	// NilCodecName is the name that goes with NilCodecId: the empty string.
	NilCodecName string = ""
)

// Codec marshals and unmarshals the bodies of one format.
//
// Its methods are called by many goroutines at the same time. Id and Name
// never change what they return. Marshal returns bytes that nobody else
// changes later; it must not keep v. Unmarshal stores what data holds in v,
// and must not write to data.
//
// A codec whose Unmarshal copies what it keeps should say so by implementing
// Copier, which saves the caller a copy of every body.
type Codec interface {
	// Id returns the byte that stands for the codec on the wire, not 0.
	Id() byte
	// Name returns the name by which users choose the codec, not empty.
	Name() string
	// Marshal returns the bytes of v, which may be nil.
	Marshal(v interface{}) ([]byte, error)
	// Unmarshal fills v, a pointer to something that the codec knows.
	Unmarshal(data []byte, v interface{}) error
}

// Copier is implemented by a codec whose Unmarshal never lets v alias data,
// so that the caller may reuse data at once. A codec that embeds another one
// inherits its promise: if its own Unmarshal keeps data, it must override
// CopiesData.
type Copier interface {
	// CopiesData reports whether the memory of data can be reused as soon as
	// Unmarshal has returned.
	CopiesData() bool
}

// CopiesData reports whether the caller may reuse data after c.Unmarshal has
// returned: whether c implements Copier and promises it. The three codecs of
// this package do.
func CopiesData(c Codec) bool {
	copier, ok := c.(Copier)
	return ok && copier.CopiesData()
}
