// Package usage tells what a process has used so far.
package usage

import (
	"runtime"
	"time"
)

// Usage is what this process has used since it started, at a moment.
type Usage struct {
	At     time.Time
	CPU    float64 // seconds, of user and system
	Allocs uint64
	Bytes  uint64 // allocated, whether freed or not
}

// Now reads it. The world stops for that, some microseconds.
func Now() Usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{time.Now(), cpuSeconds(), m.Mallocs, m.TotalAlloc}
}

// Rate is what a process used in a second of a window.
type Rate struct {
	CPU    float64
	Allocs float64
	Bytes  float64
}

// Since returns the rate from an earlier moment to this one.
func (u Usage) Since(begin Usage) Rate {
	seconds := u.At.Sub(begin.At).Seconds()
	return Rate{
		CPU:    (u.CPU - begin.CPU) / seconds,
		Allocs: float64(u.Allocs-begin.Allocs) / seconds,
		Bytes:  float64(u.Bytes-begin.Bytes) / seconds,
	}
}
