// SPDX-License-Identifier: Apache-2.0
// A static Go guest: its runtime's edge-triggered poller and its signals meet AF_VSOCK. It serves `serve` connections on
// a port by echo, then makes `call` connections to its parent at once, each of which must come back.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	afVsock   = 40
	parentCid = 3
	anyCid    = 0xffffffff
)

type sockaddrVM struct {
	family   uint16
	reserved uint16
	port     uint32
	cid      uint32
	zero     [4]byte
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "gopher: %s: %v\n", what, err)
		os.Exit(1)
	}
}

func call(number uintptr, fd uintptr, vm *sockaddrVM) error {
	_, _, errno := syscall.Syscall(number, fd, uintptr(unsafe.Pointer(vm)), unsafe.Sizeof(*vm))
	if errno != 0 {
		return errno
	}
	return nil
}

func vsocket() *os.File {
	fd, err := syscall.Socket(afVsock, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	check(err, "socket")
	return os.NewFile(uintptr(fd), "vsock")
}

func raw(file *os.File) syscall.RawConn {
	conn, err := file.SyscallConn()
	check(err, "SyscallConn")
	return conn
}

func listen(port uint32) *os.File {
	file := vsocket()
	check(raw(file).Control(func(fd uintptr) {
		check(call(syscall.SYS_BIND, fd, &sockaddrVM{family: afVsock, port: port, cid: anyCid}), "bind")
		check(syscall.Listen(int(fd), 64), "listen")
	}), "control")
	return file
}

func accept(listener *os.File) (*os.File, sockaddrVM) {
	var accepted uintptr
	var errno syscall.Errno
	var peer sockaddrVM
	check(raw(listener).Read(func(fd uintptr) bool {
		size := uint32(unsafe.Sizeof(peer))
		accepted, _, errno = syscall.Syscall6(syscall.SYS_ACCEPT4, fd, uintptr(unsafe.Pointer(&peer)),
			uintptr(unsafe.Pointer(&size)), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		return errno != syscall.EAGAIN
	}), "wait for accept")
	if errno != 0 {
		check(errno, "accept4")
	}
	return os.NewFile(accepted, "connection"), peer
}

func connect(port uint32) (*os.File, error) {
	file := vsocket()
	started := false
	var result error
	check(raw(file).Write(func(fd uintptr) bool {
		if !started {
			started = true
			result = call(syscall.SYS_CONNECT, fd, &sockaddrVM{family: afVsock, port: port, cid: parentCid})
			return result != syscall.EINPROGRESS
		}
		value, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		check(err, "SO_ERROR")
		result = nil
		if value != 0 {
			result = syscall.Errno(value)
		}
		return true
	}), "wait for connect")
	return file, result
}

// Goroutines that never yield are preempted by signals all the time.
func spin(stop *bool) {
	for n := 0; !*stop; n++ {
		_ = make([]byte, n%4096)
		if n%100 == 0 {
			runtime.GC()
		}
	}
}

func main() {
	port, _ := strconv.Atoi(os.Args[1])
	serve, _ := strconv.Atoi(os.Args[2])
	calls, _ := strconv.Atoi(os.Args[3])
	stop := false
	go spin(&stop)

	listener := listen(uint32(port))
	var group sync.WaitGroup
	for i := 0; i < serve; i++ {
		connection, peer := accept(listener)
		if peer.family != afVsock || peer.cid != parentCid {
			fmt.Fprintf(os.Stderr, "gopher: peer %+v\n", peer)
			os.Exit(1)
		}
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := io.Copy(connection, connection)
			check(err, "echo")
			connection.Close()
		}()
	}
	group.Wait()

	for i := 0; i < calls; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			connection, err := connect(8000)
			for err == syscall.ECONNRESET {
				connection.Close()
				time.Sleep(time.Millisecond) // its backlog is full
				connection, err = connect(8000)
			}
			check(err, "connect")
			message := fmt.Sprintf("call %04d", i)
			_, err = connection.Write([]byte(message))
			check(err, "write")
			answer := make([]byte, len(message))
			_, err = io.ReadFull(connection, answer)
			check(err, "read")
			if string(answer) != message {
				fmt.Fprintf(os.Stderr, "gopher: got %q\n", answer)
				os.Exit(1)
			}
			connection.Close()
		}(i)
	}
	group.Wait()
	if _, err := connect(9); err != syscall.ECONNRESET {
		fmt.Fprintf(os.Stderr, "gopher: connect where nobody listens: %v\n", err)
		os.Exit(1)
	}
	stop = true
}
