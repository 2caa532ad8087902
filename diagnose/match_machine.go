package diagnose

import (
	"fmt"
	"path"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

func matchDiskFull(v *view) []Hypothesis {
	failed := filter(append(v.failedWith(model.DiskFull), v.startsThatSay(saysNoSpace)...), v.fillsADisk)
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseDiskFull, failed, "no space was left on the device")
	v.roomElsewhere(&h, failed)
	return []Hypothesis{h}
}

// roomElsewhere moves the data of the runner's daemon to a file system with more
// room, where there is one.
func (v *view) roomElsewhere(h *Hypothesis, failed []model.Result) {
	runner := v.facts(v.runner())
	if runner == nil || runner.Docker == nil || len(runner.Disks) == 0 || runner.Disks[0].Path != runner.Docker.Root {
		return
	}
	full := runner.Disks[0]
	h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{
		Refs: []string{model.FactsRef(v.runner(), factDisks)},
		Text: fmt.Sprintf("the file system of %s has %d MB, of which %d were free", full.Path, full.SizeMB, full.FreeMB),
	})
	for _, d := range runner.Disks[1:] {
		if d.Device != full.Device && !d.Overlay && d.FreeMB > max(full.FreeMB, 512) {
			h.test(catalogue.Named(catalogue.DataRoot, map[string]string{"path": path.Join(d.Path, "nestlab-docker")}), v.runner())
			v.ofTheRunner(h, failed)
			return
		}
	}
}

func matchKVMDenied(v *view) []Hypothesis {
	runner := v.facts(v.runner())
	if !denied(runner) {
		return nil
	}
	open := filter(v.failedWith(model.Permission), func(r model.Result) bool { return r.Probe == model.ProbeKVM && r.Place == v.runner() })
	failed := append(slices.Clone(open), filter(v.unexplained(), func(r model.Result) bool {
		machine := []string{model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser}
		return slices.Contains(machine, r.Environment) && startSays(r, saysKVM)
	})...)
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseKVMDenied, failed, fmt.Sprintf("opening /dev/kvm on the runner: %s", runner.KVM.Error))
	h.Finding.Evidence[0].Refs = append(slices.Clone(h.Finding.Evidence[0].Refs), model.FactsRef(v.runner(), factKVM))
	remedy := catalogue.Named(catalogue.KVMPermission, nil)
	h.Finding.Remedy = &remedy
	if len(open) > 0 {
		h.test(remedy, v.runner())
		h.narrow(failed, within(v.runner()))
	}
	return []Hypothesis{h}
}

func matchAgentNotReady(v *view) []Hypothesis {
	failed := filter(v.startsThatSay(saysAgent), func(r model.Result) bool { return !nested(r.Place) })
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseAgentNotReady, failed, "the agent did not answer in time")
	h.contradict(filter(failed, func(r model.Result) bool { return startSays(r, saysQEMUEnded) }), "the machine itself has ended")
	if denied(v.facts(v.runner())) {
		h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{model.FactsRef(v.runner(), factKVM)},
			Text: "/dev/kvm may not be opened: the machine itself is in question"})
	}
	return []Hypothesis{h}
}
