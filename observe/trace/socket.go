package trace

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// socket hears the messages of the trace.
type socket struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	done chan struct{}
	err  error // of the reading, valid once done is closed

	// mu has the messages handed on in their order, by the reader or by a drain.
	mu     sync.Mutex
	buffer []byte
	lost   uint32 // at the end of the socket
	closed bool
}

// bufferSize is more than the largest message has.
const bufferSize = 1 << 16

// listen joins the group of trace messages, in the calling thread's network namespace.
func listen(buffer int) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	fail := func(what string, err error) (*socket, error) {
		return nil, errors.Join(fmt.Errorf("%s: %w", what, err), conn.Close())
	}
	if err := conn.SetReadBuffer(buffer); err != nil {
		return fail("size the buffer for trace messages", err)
	}
	if err := conn.JoinGroup(unix.NFNLGRP_NFTRACE); err != nil {
		return fail("join the group of trace messages", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fail("read trace messages", err)
	}
	return &socket{conn: conn, raw: raw, done: make(chan struct{}), buffer: make([]byte, bufferSize)}, nil
}

// read hands messages on as they come, until the socket is closed.
func (s *socket) read(each func([]byte)) {
	defer close(s.done)
	var failed error
	err := s.raw.Read(func(fd uintptr) bool {
		failed = s.take(fd, each)
		return failed != nil // else wait for more
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed == nil && !s.closed {
		failed = err
	}
	s.err = failed
}

// drain hands on what the kernel has for the socket at the time; nothing once the
// socket is closed, which drains it.
func (s *socket) drain(each func([]byte)) error {
	var failed error
	err := s.control(func(fd uintptr) { failed = s.take(fd, each) })
	return errors.Join(err, failed)
}

// control calls f with the socket, unless it is closed.
func (s *socket) control(f func(fd uintptr)) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil
	}
	return s.raw.Control(f)
}

// take reads until there is nothing more.
func (s *socket) take(fd uintptr, each func([]byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n, _, err := unix.Recvfrom(int(fd), s.buffer, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			continue // missed tells how many
		case err != nil:
			return fmt.Errorf("read trace messages: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(s.buffer[:n])
		if err != nil {
			return fmt.Errorf("read trace messages: %w", err)
		}
		for _, m := range messages {
			if m.Header.Type == subsystem|unix.NFT_MSG_TRACE {
				each(m.Data)
			}
		}
	}
}

// missed returns how many messages the kernel had no room for.
func (s *socket) missed() (n uint32, err error) {
	n = s.lost
	controlErr := s.control(func(fd uintptr) { n, err = drops(int(fd)) })
	return n, errors.Join(err, controlErr)
}

// drops reads SK_MEMINFO_DROPS (Linux 4.12).
func drops(fd int) (uint32, error) {
	var info [9]uint32 // SK_MEMINFO_VARS of linux/sock_diag.h
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("ask how many trace messages were lost: %w", errno)
	}
	return info[8], nil
}

// close hands on what is left, and ends the reading.
func (s *socket) close(each func([]byte)) error {
	drained := s.drain(each)
	lost, err := s.missed()
	s.lost = lost
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	errs := []error{drained, err, s.conn.Close()}
	<-s.done
	return errors.Join(append(errs, s.err)...)
}
