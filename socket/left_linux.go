package socket

import "syscall"

// hasLeft reports whether the other side of the connection fd has shut down
// or reset it, which reading tells only after all that came before.
func hasLeft(fd int) bool {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer func() { _ = syscall.Close(poll) }()
	event := syscall.EpollEvent{Events: syscall.EPOLLRDHUP} // EPOLLHUP and EPOLLERR always count
	if syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &event) != nil {
		return false
	}
	var events [1]syscall.EpollEvent
	n, err := syscall.EpollWait(poll, events[:], 0)
	return err == nil && n > 0
}
