package usage

import (
	"runtime"
	"runtime/debug"
)

// Memory is what a process holds.
type Memory struct {
	Used int64 // bytes of the heap that are reachable, and of stacks
	RSS  int64
}

// Weigh collects the garbage twice, since what is in a sync.Pool outlives one
// collection, and gives what is free back to the system.
func Weigh() Memory {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Memory{Used: int64(m.HeapAlloc + m.StackInuse), RSS: RSS()}
}
