package diagnose

import (
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// The words by which dockerd tells why it does not start. It has no codes.
var dockerdWords = map[string][]string{
	CauseStorageDriver: {
		"graphdriver", "storage driver", "storage-driver", "driver not supported", "overlayfs: ", "failed to mount overlay",
	},
	CauseDockerdIPTables: {
		"iptables failed", "failed to create nat chain", "table does not exist (do you need to insmod",
		"can't initialize iptables table", "could not fetch rule set generation id", "iptables not found", "nftables",
	},
	CauseNoPrivilege: {
		"permission denied (you must be root)", "needs to be started with root", "needs to be run as root", "operation not permitted",
		"mount: permission denied", "failed to mount", "error creating bpf program", "devices.allow",
	},
}

// precedence: a daemon without privileges complains of its firewall first.
var dockerdCauses = []string{CauseNoPrivilege, CauseStorageDriver, CauseDockerdIPTables}

// dockerdSays makes a hypothesis of environments whose daemon did not start and
// said so in words of one cause.
func (v *view) dockerdSays(cause string) []Hypothesis {
	var failed []model.Result
	for _, r := range v.bad() {
		if text := v.complaint(r); text != "" && causeOf(verdict(text)) == cause {
			failed = append(failed, r)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(cause, failed, "dockerd says: "+short(verdict(v.complaint(failed[0]))))
	places := placesOf(failed)
	h.follow(filter(v.bad(), func(r model.Result) bool {
		needs := []model.Reason{model.DaemonDown, model.NotStarted, model.Lost}
		return slices.Contains(needs, r.Reason) && (slices.Contains(places, r.Place) || nested(r.Place))
	}))
	return []Hypothesis{h}
}

// complaint is what is known of why a daemon is down: from the environment that
// it belongs to, or from the notes on the runner's own.
func (v *view) complaint(r model.Result) string {
	switch {
	case r.Probe == model.ProbeStart && says(r.Detail.Message, "dockerd"):
		return r.Detail.Message
	case r.Place == v.runner() && r.Reason == model.DaemonDown:
		for _, n := range v.run.Notes {
			if says(n, "dockerd") {
				return n
			}
		}
	}
	return ""
}

func causeOf(text string) string {
	for _, cause := range dockerdCauses {
		if says(text, dockerdWords[cause]...) {
			return cause
		}
	}
	return ""
}

// failedToStart is how dockerd begins its last words. What iptables said has lines of
// its own in them.
const failedToStart = "failed to start daemon"

// verdict is what a daemon's log says of its end: its last words, or, where it had
// none, its last line and those at the levels error and fatal. A daemon in good health
// names its storage driver and its chains as well, at the level info.
func verdict(text string) string {
	if i := strings.LastIndex(text, failedToStart); i >= 0 {
		return text[i:]
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := len(lines) - 1
	kept := filter(lines[:last], func(l string) bool { return says(l, "level=error", "level=fatal") })
	return strings.Join(append(kept, lines[last]), "\n")
}

// lastLine is the last line of a text: of what a program printed, why it ended.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return short(lines[len(lines)-1])
}

// short is a text in one line, its end if it is a long one.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = text[len(text)-300:]
	}
	return strings.ToValidUTF8(text, "")
}

func storageDriver() Rule {
	return Rule{
		Cause:    CauseStorageDriver,
		About:    "Docker's storage driver does not work here, or is the slow one",
		Remedies: []string{catalogue.StorageDriver},
		match:    matchStorageDriver, summary: plainly("Docker's storage driver does not fit: dockerd does not start with it, or copies whole file systems (vfs)"),
	}
}

func matchStorageDriver(v *view) []Hypothesis {
	all := v.dockerdSays(CauseStorageDriver)
	failed := v.because(model.StorageDriver)
	if len(failed) == 0 {
		return all
	}
	says := "a storage driver is in use that does not work or is a slow one"
	if d := failed[0].Detail.Values["storage_driver"]; d != "" {
		says = "the storage driver is " + d
	}
	h := v.symptom(CauseStorageDriver, failed, says)
	// Only the runner's own daemon is for the runner's remedies.
	h.test(catalogue.Named(catalogue.StorageDriver, map[string]string{"driver": "overlay2"}), v.runner())
	v.ofTheRunner(&h, failed)
	return append(all, h)
}

func noPrivilege() Rule {
	return Rule{
		Cause:   CauseNoPrivilege,
		About:   "dockerd lacks a privilege that it needs",
		match:   func(v *view) []Hypothesis { return v.dockerdSays(CauseNoPrivilege) },
		summary: plainly("dockerd lacks a privilege: a nested daemon needs a privileged container, or rootless mode"),
	}
}
