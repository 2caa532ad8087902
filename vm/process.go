package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/tail"
)

// process is a child that does not survive this one.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, once done is closed
	// log and console are the ends of what QEMU and its machine's console print, to which
	// a guest may write without end.
	log, console *tail.Writer
}

// startQEMU starts QEMU, which has the files from descriptor 3 on, and reads what it and
// its machine's console print.
func startQEMU(args []string, files []*os.File, nice int, env ...string) (*process, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the console: %w", err)
	}
	log, console := tail.New(logSize), tail.New(logSize)
	cmd := exec.Command(qemuBinary, append(args, "-serial", fmt.Sprintf("file:/proc/self/fd/%d", 3+len(files)))...)
	cmd.ExtraFiles = append(files, write)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	heard := make(chan error, 1)
	go func() {
		_, err := io.Copy(console, read)
		heard <- errors.Join(err, read.Close())
	}()
	p, err := startThen(cmd, nice, func() error { return <-heard })
	if closed := write.Close(); err != nil || closed != nil {
		return nil, errors.Join(err, closed)
	}
	p.log, p.console = log, console
	return p, nil
}

// start starts a command that is killed when this process dies, however that
// happens. Nice is the niceness that it gets, 0 to 19, whatever this
// process has.
func start(cmd *exec.Cmd, nice int) (*process, error) {
	return startThen(cmd, nice, func() error { return nil })
}

// startThen is start of a command after whose end something else ends too.
func startThen(cmd *exec.Cmd, nice int, then func() error) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The signal comes when the thread that started the child ends, and the
		// child has the thread's priority: this one does nothing else, and is
		// thrown away at the end since it stays locked.
		runtime.LockOSThread()
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			p.err = errors.Join(cmd.Wait(), then())
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// renice sets the priority of all threads of the process. Without CAP_SYS_NICE it
// can only be lowered.
func (p *process) renice(nice int) error {
	dir := fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid)
	threads, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the threads of process %d: %w", p.cmd.Process.Pid, err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("%s/%s is no thread: %w", dir, t.Name(), err)
		}
		// A thread may have ended meanwhile.
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("set the priority of process %d: %w", p.cmd.Process.Pid, err)
		}
	}
	return nil
}

// ended is how the process ended, nil while it runs.
func (p *process) ended() error {
	select {
	case <-p.done:
		if p.err != nil {
			return p.err
		}
		return errors.New("it ended by itself")
	default:
		return nil
	}
}

// kill ends the process and waits until it is gone.
func (p *process) kill(within time.Duration) error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.cmd.Process.Pid, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		return fmt.Errorf("process %d is still there %s after it was killed", p.cmd.Process.Pid, within)
	}
}

// logSize is how much of a log is kept, tailSize how much of one goes into an error, in bytes.
const logSize, tailSize = 64 << 10, 1 << 10

// lastWords are the end of a log in one line, for an error.
func lastWords(log *tail.Writer) string {
	text := log.String()
	return tail.Line(strings.ToValidUTF8(text[max(0, len(text)-tailSize):], ""))
}
