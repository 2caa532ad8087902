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
)

// process is a child that does not outlive this one.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended, once done is closed
}

// start starts a command that is killed when this process dies, however that
// happens. Nice is the niceness that it gets, 0 to 19, whatever this
// process has.
func start(cmd *exec.Cmd, nice int) (*process, error) {
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
			p.err = cmd.Wait()
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

// tailSize is how much of a log goes into an error, in bytes.
const tailSize = 1 << 10

// tail is the end of a log file in one line, for an error.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailSize {
		if _, err := f.Seek(-tailSize, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	text, err := tailOf(f)
	if err != nil {
		return err.Error()
	}
	return text
}

// tailOf is the end of a log in one line.
func tailOf(r io.Reader) (string, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	lines := strings.FieldsFunc(string(text[max(0, len(text)-tailSize):]), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return "it is empty", nil
	}
	return strings.Join(lines, " | "), nil
}
