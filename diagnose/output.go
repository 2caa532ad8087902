package diagnose

import (
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Daemons and programs have no codes: what they mean is in their words alone. This file
// and complaints.go are where those words become values. Nothing else in the package reads a text.

// saying is what a program or the kernel was heard to say.
type saying string

const (
	saysDockerd     saying = "dockerd"
	saysRuntime     saying = "container runtime"
	saysContainer   saying = "container"
	saysErrorLevel  saying = "error level"
	saysInfoLevel   saying = "info level"
	saysInit        saying = "init system"
	saysNoSpace     saying = "no space"
	saysWriting     saying = "writing"
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

	saysSubordinates saying = "subordinate ids"
)

// phrases are the words of each, in lower case.
var phrases = map[saying][]string{
	saysDockerd:    {"dockerd"},
	saysRuntime:    {"oci runtime", "runc", "containerd", "failed to create task", "failed to create shim", "error response from daemon", "a first container"},
	saysContainer:  {"start a container of", "make a container from", "a container of ", "start the container of", "make the container of"},
	saysErrorLevel: {"level=error", "level=fatal"},
	saysInfoLevel:  {"level=info", "level=debug", "level=warning"},
	saysInit:       {" systemd[", "docker.service: ", "failed to start docker.service"},
	saysNoSpace:    {"no space left on device", "disk quota exceeded"},
	saysWriting:    {"write /", "write: ", "extract", "untar", "unpack", "/var/lib/docker", "/var/lib/containerd", "register layer", "dpkg"},
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

	saysSubordinates: {"newuidmap", "newgidmap", "uid/gid allocation", "subuid", "subgid"},
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

// lastLine returns the last line of a text: of what a program printed, why it ended.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return shorten(lines[len(lines)-1])
}

// partThatSays is the first of the parts of a message, which " | " is between, that says
// something; its last line for none.
func partThatSays(text string, of saying) string {
	for _, part := range strings.Split(text, " | ") {
		if hears(part, of) {
			return shorten(part)
		}
	}
	return lastLine(text)
}

// shorten puts a text in one line, its end if it is a long one.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = text[len(text)-300:]
	}
	return strings.ToValidUTF8(text, "")
}

// aboutNames reports whether a rule, in the words of nft or iptables, is about DNS alone.
func aboutNames(r model.FirewallRule) bool { return dnsPort.MatchString(r.Text) }
