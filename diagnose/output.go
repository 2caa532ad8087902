package diagnose

import (
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Daemons and programs have no codes: what they mean is in their words alone. This file
// is where those words become values. Nothing else in the package reads a text.

// saying is what a program or the kernel was heard to say.
type saying string

const (
	saysDockerd     saying = "dockerd"
	saysStorage     saying = "storage driver"
	saysFirewall    saying = "firewall rules"
	saysPrivilege   saying = "privilege"
	saysErrorLevel  saying = "error level"
	saysNoSpace     saying = "no space"
	saysNoMemory    saying = "no memory"
	saysTookTooLong saying = "took too long"
	saysDenied      saying = "denied"
	saysKVM         saying = "kvm"
	saysAgent       saying = "agent"
	saysQEMUEnded   saying = "qemu ended"
	saysPull        saying = "pull"
	saysRegistry    saying = "registry"
	saysRateLimit   saying = "rate limit"
	saysInstall     saying = "installation"
	saysDeadline    saying = "deadline"
)

// phrases are the words of each, in lower case.
var phrases = map[saying][]string{
	saysDockerd: {"dockerd"},
	saysStorage: {
		"graphdriver", "storage driver", "storage-driver", "driver not supported", "overlayfs: ", "failed to mount overlay",
	},
	saysFirewall: {
		"iptables failed", "failed to create nat chain", "table does not exist (do you need to insmod",
		"can't initialize iptables table", "could not fetch rule set generation id", "iptables not found", "nftables",
	},
	saysPrivilege: {
		"permission denied (you must be root)", "needs to be started with root", "needs to be run as root", "operation not permitted",
		"mount: permission denied", "failed to mount", "error creating bpf program", "devices.allow",
	},
	saysErrorLevel: {"level=error", "level=fatal"},
	saysNoSpace:    {"no space left on device", "disk quota exceeded"},
	saysNoMemory: {
		"cannot allocate memory", "out of memory", "oomkilled", "oom-kill", "exit code 137", "ended with code 137", "signal: killed",
	},
	saysTookTooLong: {"deadline exceeded", "took too long"},
	saysDenied:      {"permission denied", "not permitted"},
	saysKVM:         {"kvm"},
	saysAgent:       {"agent"},
	saysQEMUEnded:   {"qemu ended"},
	saysPull:        {"pull"},
	saysRegistry:    {"registry", "manifest"},
	saysRateLimit:   {"toomanyrequests", "429", "rate limit"},
	saysInstall:     {"apt", "install", "docker build"},
	saysDeadline:    {"deadline"},
}

// hears reports whether a text has words of any of the sayings.
func hears(text string, of ...saying) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(of, func(s saying) bool {
		return slices.ContainsFunc(phrases[s], func(p string) bool { return strings.Contains(text, p) })
	})
}

// startSays reports whether an environment did not come up and said any of this.
func startSays(r model.Result, of ...saying) bool {
	return r.Probe == model.ProbeStart && hears(r.Detail.Message, of...)
}

// startsThatSay lists the environments that did not come up and said any of this.
func (v *view) startsThatSay(of ...saying) []model.Result {
	return filter(v.unexplained(), func(r model.Result) bool { return startSays(r, of...) })
}

// ranOutOfMemory reports whether what failed says that it lacked memory, and not that it
// took too long: that is killed as well, and by nestlab itself.
func ranOutOfMemory(r model.Result) bool {
	text := r.Detail.Message
	if r.Probe != model.ProbeStart {
		text += "\n" + r.Detail.Output
	}
	return hears(text, saysNoMemory) && !hears(text, saysTookTooLong)
}

// denied reports whether the runner's /dev/kvm is there and may not be opened. One
// with no driver behind it is there too, and nothing that a permission would help.
func denied(runner *model.Facts) bool {
	return runner != nil && runner.KVM.Present && !runner.KVM.Usable && hears(runner.KVM.Error, saysDenied)
}

// complaint is what a daemon said of its end.
type complaint struct {
	cause string // empty for one that no rule knows
	words string
}

// complaintOf returns what is known of why a daemon is down: from the environment that
// it belongs to, or from the notes on the runner's own.
func (v *view) complaintOf(r model.Result) (complaint, bool) {
	switch {
	case startSays(r, saysDockerd):
		return readComplaint(r.Detail.Message), true
	case r.Place == v.runner() && r.Reason == model.DaemonDown:
		for _, n := range v.run.Notes {
			if hears(n, saysDockerd) {
				return readComplaint(n), true
			}
		}
	}
	return complaint{}, false
}

func readComplaint(text string) complaint {
	c := complaint{words: lastWords(text)}
	// A daemon without privileges complains of its firewall first.
	for _, known := range []struct {
		says  saying
		cause string
	}{{saysPrivilege, CauseNoPrivilege}, {saysStorage, CauseStorageDriver}, {saysFirewall, CauseDockerdIPTables}} {
		if c.cause == "" && hears(c.words, known.says) {
			c.cause = known.cause
		}
	}
	return c
}

// failedToStart is how dockerd begins its last words. What iptables said has lines of
// its own in them.
const failedToStart = "failed to start daemon"

// lastWords returns what a daemon's log says of its end: its last words, or, where it had
// none, its last line and those at the levels error and fatal. A daemon in good health
// names its storage driver and its chains as well, at the level info.
func lastWords(text string) string {
	if i := strings.LastIndex(text, failedToStart); i >= 0 {
		return text[i:]
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := len(lines) - 1
	kept := filter(lines[:last], func(l string) bool { return hears(l, saysErrorLevel) })
	return strings.Join(append(kept, lines[last]), "\n")
}

// lastLine returns the last line of a text: of what a program printed, why it ended.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return shorten(lines[len(lines)-1])
}

// shorten puts a text in one line, its end if it is a long one.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = text[len(text)-300:]
	}
	return strings.ToValidUTF8(text, "")
}
