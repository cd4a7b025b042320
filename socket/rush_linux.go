//go:build linux && !386 && !race && !msan && !asan

package socket

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// rush says whether this process has so much to read and write that the system calls of
// its conns are made without telling the runtime that they may block, which they never do.
//
// Package syscall tells it each time. If nothing ran a moment before, the runtime then
// wakes its monitor, a thread that looks every 20 µs whether something has to be taken
// from a thread that blocks. Where processors are few, it takes them from the work:
// without it, on 2 processors, 100 connections of one caller each exchange 1.25 times
// as much (doc/adr/0022). Where little is to do it is of use, as it keeps a processor
// from falling asleep: a single caller gets its replies 1.15 times as fast with it.
//
// The monitor is also what stops a goroutine that runs for long, and it sleeps until the
// next timer at most when it is not woken. So in a rush there is always one.
var rush struct {
	on atomic.Bool
	_  [63]byte // each packet changes what follows

	ticking atomic.Bool
	events  atomic.Uint32 // packets read, and writes, since the last tick
}

const (
	// rushTick is how often it is looked whether there is a rush: as often as the
	// monitor looks for goroutines that run for long.
	rushTick = 10 * time.Millisecond
	// rushEvents is from how many events in a tick on there is one. A single caller
	// makes half as many.
	rushEvents = 500
)

// countRush counts packets that were read, or a write.
func countRush(events int) {
	rush.events.Add(uint32(events))
	if !rush.ticking.Load() && !rush.ticking.Swap(true) {
		time.AfterFunc(rushTick, tickRush)
	}
}

func tickRush() {
	n := rush.events.Swap(0)
	rush.on.Store(n >= rushEvents)
	if n == 0 {
		rush.ticking.Store(false)
		return
	}
	time.AfterFunc(rushTick, tickRush)
}

// tryRead reads what has arrived on the socket fd. If that is nothing it fails with
// EAGAIN, whoever has set fd to blocking mode in a rush.
func tryRead(fd uintptr, b []byte) (int, error) {
	if !rush.on.Load() {
		return syscall.Read(int(fd), b)
	}
	return try(syscall.SYS_RECVFROM, fd, b, syscall.MSG_DONTWAIT)
}

// tryWrite gives the kernel what it takes of b at once, as tryRead reads.
func tryWrite(fd uintptr, b []byte) (int, error) {
	countRush(1)
	if !rush.on.Load() {
		return syscall.Write(int(fd), b)
	}
	return try(syscall.SYS_SENDTO, fd, b, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func try(call, fd uintptr, b []byte, flags uintptr) (int, error) {
	n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
