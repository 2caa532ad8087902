package drops

import "github.com/cilium/ebpf/btf"

// Reason returns the name of a reason, or NOT_SPECIFIED where this kernel does not
// have it.
func Reason(name string) string {
	l, err := load()
	if err != nil {
		return err.Error()
	}
	for _, n := range l.reasons {
		if n == name {
			return name
		}
	}
	return "NOT_SPECIFIED"
}

func load() (*layout, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, err
	}
	return readLayout(spec)
}

// Perf makes the watch use a perf buffer.
func (w Watch) Perf() Watch {
	w.perf = true
	return w
}

// StartWithoutReasons starts as on a kernel before 5.17.
func StartWithoutReasons(watch Watch) (*Watcher, error) {
	l, err := load()
	if err != nil {
		return nil, err
	}
	l.argReason, l.reasons, l.consumed = -1, nil, nil
	return start(watch, l)
}

// Hold keeps the reader from reading until the returned function is called.
func (w *Watcher) Hold() func() {
	w.mu.Lock()
	return w.mu.Unlock
}

// Locked reads a line of the kernel's lockdown file.
var Locked = locked

// MaxDrops is how many kinds of drops are kept.
const MaxDrops = maxDrops

// FindFunctions finds a function of the kernel again.
func FindFunctions() error {
	delete(cache.symbols, 1<<63)
	_, err := functions([]uint64{1 << 63})
	return err
}
