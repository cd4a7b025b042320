package aesgcm

// SetPacked says that the current key has packed n packets.
func (f *Filter) SetPacked(n uint64) { f.ring.Load().current.packed.Store(n) }
