package vm_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The test binary is also a QEMU: under that name it does what its kernel is called.
const (
	fakeBoots  = "boots"  // its agent answers, and each command prints its arguments
	fakeSilent = "silent" // it runs, and no agent ever answers
	fakeDies   = "dies"   // it ends at once
	fakeLoud   = "loud"   // its console gets very much, and it ends
	fakeLost   = "lost"   // it ends when a probe is started
	fakeDeaf   = "deaf"   // its agent answers, its monitor does not

	fakeKVM    = "kvm"    // it runs a kernel under KVM
	fakePanics = "panics" // its kernel panics under KVM
	fakeStops  = "stops"  // KVM gives up
	fakeHangs  = "hangs"  // nothing happens under KVM
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "qemu-system-x86_64" {
		os.Exit(fakeQEMU(os.Args[1:]))
	}
	bin, err := fakeInPath()
	if err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(bin); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// fakeInPath makes the fake the first QEMU that is found, in a directory of its own.
func fakeInPath() (dir string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "fakeqemu-"); err != nil {
		return "", err
	}
	return dir, errors.Join(os.Symlink(self, filepath.Join(dir, "qemu-system-x86_64")), os.Setenv("PATH", dir+":"+os.Getenv("PATH")))
}

// value finds the property of an option that begins with prefix, in one that has
// the other properties too.
func value(args []string, option, prefix string, with ...string) string {
	for i, a := range args {
		if a != option || i+1 == len(args) {
			continue
		}
		if slices.ContainsFunc(with, func(w string) bool { return !strings.Contains(args[i+1], w) }) {
			continue
		}
		for _, p := range strings.Split(args[i+1], ",") {
			if v, ok := strings.CutPrefix(p, prefix); ok {
				return v
			}
		}
	}
	return ""
}

// fakeQEMU runs until it is told to quit. What it returns before is its exit code.
func fakeQEMU(args []string) int {
	mode := value(args, "-kernel", "")
	if code, ended := fakeBoot(args, mode); ended {
		return code
	}
	monitor, err := net.Listen("unix", value(args, "-qmp", "unix:"))
	if err != nil {
		return 4
	}
	if code := fakePorts(args, mode); code != 0 {
		return code
	}
	go serve(monitor, func(c net.Conn, q call) { fakeMonitor(c, q, mode) })
	time.Sleep(time.Minute) // a fake that a test left is gone after that
	return 5
}

// fakeBoot is what comes before anything listens: ended says that nothing follows.
func fakeBoot(args []string, mode string) (code int, ended bool) {
	text := "Booting\nKernel panic - not syncing: no init\n"
	if mode == fakeKVM {
		text = "Booting\nnestlab: the kernel runs\n"
	}
	if mode == fakeLoud {
		text = strings.Repeat("to the console", 8<<20) + "\nits last words\n"
	}
	if err := os.WriteFile(value(args, "-serial", "file:"), []byte(text), 0o644); err != nil {
		return 2, true
	}
	if value(args, "-accel", "k") == "vm" {
		switch mode {
		case fakeKVM, fakePanics:
			return 0, true
		case fakeStops, fakeHangs:
		default:
			fmt.Fprintln(os.Stderr, "qemu-system-x86_64: this fake has no KVM")
			return 1, true
		}
	}
	if mode == fakeLoud {
		fmt.Fprint(os.Stderr, strings.Repeat("to the log", 1<<20))
		return 1, true
	}
	if mode == fakeDies {
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: could not open the disk")
		return 1, true
	}
	return 0, false
}

// fakePorts has a guest's agent and its output listen, if there is to be an agent.
func fakePorts(args []string, mode string) (code int) {
	path := value(args, "-chardev", "path=", "id=agent")
	if path == "" {
		return 0
	}
	agent, err := net.Listen("unix", path)
	if err != nil {
		return 3
	}
	output, err := net.Listen("unix", value(args, "-chardev", "path=", "id=output"))
	if err != nil {
		return 6
	}
	go func() {
		for {
			if c, err := output.Accept(); err == nil {
				outputs <- c
			}
		}
	}()
	go serve(agent, func(c net.Conn, q call) { fakeAgent(c, q, mode) })
	return 0
}

func fakeMonitor(c net.Conn, q call, mode string) {
	if mode == fakeDeaf {
		return
	}
	state := "running"
	switch q.Execute {
	case "stop", "cont":
		halted.Store(q.Execute == "stop")
	}
	if halted.Load() {
		state = "paused"
	}
	if mode == fakeStops {
		state = "internal-error"
	}
	reply(c, map[string]any{"return": map[string]any{"status": state}, "id": q.ID})
	if q.Execute == "quit" {
		os.Exit(0)
	}
}

// halted says that the fake was told to stand still.
var halted atomic.Bool

type call struct {
	Execute   string `json:"execute"`
	Arguments struct {
		ID   int      `json:"id"`
		Args []string `json:"arg"`
		In   []byte   `json:"input-data"`
	} `json:"arguments"`
	ID int `json:"id"`
}

func serve(l net.Listener, answer func(net.Conn, call)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		for lines := bufio.NewReader(c); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				break
			}
			var q call
			if json.Unmarshal(bytes.TrimPrefix(line, []byte{0xff}), &q) == nil {
				answer(c, q)
			}
		}
		c.Close()
	}
}

func reply(c net.Conn, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	c.Write(append(text, '\n'))
}

// printed and code are what the fake's last process printed and ended with, and
// outputs the host's connections to the port for output.
var (
	printed []byte
	code    int
	outputs = make(chan net.Conn, 10)
)

func fakeAgent(c net.Conn, q call, mode string) {
	if mode == fakeSilent {
		return
	}
	switch q.Execute {
	case "guest-sync-delimited":
		c.Write([]byte{0xff})
		reply(c, map[string]any{"return": q.Arguments.ID})
	case "guest-exec":
		code, printed = 0, []byte(`{"addresses": ["192.0.2.2/24"], "gateway": "192.0.2.1", "answered": "192.0.2.1"}`)
		if q.Arguments.Args[1] == "send" {
			code, printed = 3, nil
			fakeSend(q, mode)
		}
		reply(c, map[string]any{"return": map[string]any{"pid": 1}, "id": q.ID})
	case "guest-exec-status":
		reply(c, map[string]any{"return": map[string]any{"exited": true, "exitcode": code, "out-data": printed}, "id": q.ID})
	default:
		reply(c, map[string]any{"return": map[string]any{}, "id": q.ID})
	}
}

// fakeSend is nestlab vm send, and the command below it prints how it was called.
func fakeSend(q call, mode string) {
	args := q.Arguments.Args
	token := args[slices.Index(args, "--token")+1]
	command := args[slices.Index(args, "--")+2:]
	out := <-outputs
	fmt.Fprint(out, "what an earlier command left\n\x000123\x00\x000123 and still pr")
	if mode == fakeLost {
		fmt.Fprintf(out, "\x00%s one\ntwo\nhalf a li", token)
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: out of memory")
		os.Exit(9)
	}
	fmt.Fprintf(out, "\x00%s %s|%s\x00\x00%s\x00", token, strings.Join(command, " "), q.Arguments.In, token)
}
