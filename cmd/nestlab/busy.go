package main

import (
	"fmt"
	"os"
	"runtime"
)

// most bounds how much longer probes may take on a busy machine.
const most = 5

// busy says how much more work a machine with so many processors has than it can do, from
// the text of /proc/loadavg: 1 where it has none, or where nothing is known.
func busy(loadavg string, processors int) (load, times float64) {
	if _, err := fmt.Sscan(loadavg, &load); err != nil || !(load > 0) { // which a NaN is not either
		return 0, 1
	}
	return load, min(most, max(1, load/float64(processors)))
}

// hurryLess gives probes more time where the machine has more to do than it can: what is
// late there is not dropped.
func (d *doctorFlags) hurryLess() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return // then nobody knows, and the deadlines are what they are
	}
	if load, times := busy(string(text), runtime.NumCPU()); times > 1 {
		d.Targets = d.Targets.Stretched(times)
		fmt.Fprintf(d.Lines, "this machine is busy (load %.1f, %d processors): probes may take %.1f times as long\n", load, runtime.NumCPU(), times)
	}
}
