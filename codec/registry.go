package codec

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// entry is a registered codec, in a struct of its own so that an atomic
// pointer can lead to it.
type entry struct {
	codec Codec
	name  string
}

// registry holds the registered codecs: reading takes no lock.
var registry struct {
	byID    [256]atomic.Pointer[entry]
	byName  sync.Map          // string -> *entry
	mu      sync.Mutex        // one Reg or Alias at a time; guards aliases
	aliases map[string]string // alias -> name
}

func init() {
	Reg(JsonCodec{})
	Reg(ProtoCodec{})
	Reg(StringCodec{})
}

// Reg registers a codec for the whole process. A codec with the same id and
// the same name takes the place of the one that is there, so a program may
// bring its own implementation of a format; packets in flight may still use
// the old one.
//
// Reg panics if codec is nil, if its id is 0 or its name is empty, and if
// either of them belongs to another codec: all of these are mistakes in the
// program. It is safe for concurrent use.
func Reg(codec Codec) {
	if codec == nil {
		panic("codec: Reg of a nil codec: pass a value that implements Codec")
	}
	id, name := codec.Id(), codec.Name()
	if id == NilCodecId {
		panic(fmt.Sprintf("codec: Reg of %T: id 0 means no codec: let Id return another byte", codec))
	}
	if name == NilCodecName {
		panic(fmt.Sprintf("codec: Reg of %T: the empty name means no codec: let Name return another one", codec))
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if old := registry.byID[id].Load(); old != nil && old.name != name {
		panic(fmt.Sprintf("codec: Reg of %T: id %s belongs to codec %q (%T): choose another id, or name the codec %q to replace it",
			codec, showID(id), old.name, old.codec, old.name))
	}
	if other, ok := registry.byName.Load(name); ok {
		old := other.(*entry).codec
		if oldID := old.Id(); oldID != id {
			panic(fmt.Sprintf("codec: Reg of %T: name %q belongs to the codec with id %s (%T): choose another name, or give the codec that id to replace it",
				codec, name, showID(oldID), old))
		}
	}
	e := &entry{codec: codec, name: name}
	registry.byID[id].Store(e)
	registry.byName.Store(name, e)
	for alias, of := range registry.aliases {
		if of == name {
			registry.byName.Store(alias, e)
		}
	}
}

// Alias lets GetByName find the codec that is registered under name by another
// name too, also when Reg replaces it later. It panics if no codec has the name,
// and if the alias is empty or belongs to another codec. It is safe for
// concurrent use.
func Alias(alias, name string) {
	if alias == NilCodecName {
		panic("codec: Alias: the empty name means no codec: choose another alias")
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	found, ok := registry.byName.Load(name)
	if !ok {
		panic(fmt.Sprintf("codec: Alias %q of %q: no codec has that name: register it with codec.Reg before", alias, name))
	}
	e := found.(*entry)
	if other, ok := registry.byName.Load(alias); ok {
		if old := other.(*entry); old.name != e.name {
			panic(fmt.Sprintf("codec: Alias %q of %q: it belongs to codec %q (%T): choose another alias", alias, name, old.name, old.codec))
		}
		return
	}
	if registry.aliases == nil {
		registry.aliases = make(map[string]string)
	}
	registry.aliases[alias] = e.name
	registry.byName.Store(alias, e)
}

// importable is a codec that a package registers when it is imported.
type importable struct {
	id         byte
	name, path string
}

var wellKnown = []importable{
	{'f', "form", "codec/form"},
	{'m', "msgpack", "codec/msgpack"},
	{'x', "xml", "codec/xml"},
	{'t', "thrift", "proto/thriftproto"},
}

func (i importable) remedy() string {
	return fmt.Sprintf("import _ %q", "github.com/henrylee2cn/teleport/"+i.path)
}

// Get returns the codec with the id, or an error that names the id. It takes
// no lock.
func Get(id byte) (Codec, error) {
	if e := registry.byID[id].Load(); e != nil {
		return e.codec, nil
	}
	if id == NilCodecId {
		return nil, fmt.Errorf("codec: id 0 means no codec: set the body codec of the packet")
	}
	for _, known := range wellKnown {
		if known.id == id {
			return nil, fmt.Errorf("codec: no codec has id %s: %s", showID(id), known.remedy())
		}
	}
	return nil, fmt.Errorf("codec: no codec has id %s: register it with codec.Reg", showID(id))
}

// GetByName returns the codec with the name, or an error that quotes it.
func GetByName(name string) (Codec, error) {
	if e, ok := registry.byName.Load(name); ok {
		return e.(*entry).codec, nil
	}
	if name == NilCodecName {
		return nil, fmt.Errorf("codec: the empty name means no codec: set the name of a codec")
	}
	for _, known := range wellKnown {
		if known.name == name {
			return nil, fmt.Errorf("codec: no codec is named %q: %s", name, known.remedy())
		}
	}
	return nil, fmt.Errorf("codec: no codec is named %.64q: register it with codec.Reg", name)
}

// showID shows an id as a character, if it is one, and as a number.
func showID(id byte) string {
	if id > ' ' && id < 0x7f {
		return fmt.Sprintf("%q (%d)", id, id)
	}
	return fmt.Sprintf("%d", id)
}
