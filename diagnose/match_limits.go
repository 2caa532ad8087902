package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// What has to be free for "no space left on device" not to be one of space: of a file that
// was written, as it may be a large one, and of all else.
const (
	roomToWrite = 4096 // MB
	room        = 256  // MB
	roomInodes  = 1000
)

// matchKernelLimit takes what words, or the figures of the file systems, show to be no
// matter of space.
func matchKernelLimit(v *view) []Hypothesis {
	reached := v.tasksReached()
	failed, first := v.complaining(func(r model.Result, c complaint) bool { return c.cause == CauseKernelLimit })
	full := filter(append(v.failedWith(model.DiskFull), v.startsThatSay(saysNoSpace)...), func(r model.Result) bool {
		c, _ := v.complaintOf(r)
		return c.cause != CauseKernelLimit && !v.fillsADisk(r) && !v.settled(r)
	})
	if len(failed) == 0 && len(full) == 0 {
		return reached
	}
	if len(failed) == 0 {
		first = complaint{words: full[0].Detail.Message}
	}
	failed = append(failed, full...)
	if len(first.limits) > 0 {
		first.subject = strings.Join(first.limits, ", ")
	}
	h := v.complained(CauseKernelLimit, failed, first)
	for _, p := range unique(append(placesOf(failed), v.runner())) {
		h.Finding.Evidence = append(h.Finding.Evidence, v.limitEvidence(p, first.limits)...)
	}
	return append(reached, h)
}

// limitEvidence is what the figures of a place say: limits that are reached, and space that
// is free.
func (v *view) limitEvidence(p model.Place, named limits) []model.Evidence {
	f := v.facts(p)
	if f == nil {
		return nil
	}
	var all []model.Evidence
	for _, l := range f.Limits {
		if !l.Reached() && !slices.Contains(named, l.Name) {
			continue
		}
		text := fmt.Sprintf("%s is %d in %s", l.Name, l.Max, p)
		if l.Used != nil {
			text += fmt.Sprintf(", of which %d are used", *l.Used)
		}
		all = append(all, model.Evidence{Refs: []string{model.FactsRef(p, factLimits)}, Text: text})
	}
	if d, ok := dataDisk(f); ok {
		text := fmt.Sprintf("no disk is full: the file system of %s in %s has %d MB free", d.Path, p, d.FreeMB)
		if d.Inodes > 0 {
			text += fmt.Sprintf(" and %d inodes", d.FreeInodes)
		}
		if d.FreeMB >= room {
			all = append(all, model.Evidence{Refs: []string{model.FactsRef(p, factDisks)}, Text: text})
		}
	}
	return all
}

// dataDisk is the file system of Docker's data.
func dataDisk(f *model.Facts) (model.Disk, bool) {
	if f == nil || len(f.Disks) == 0 {
		return model.Disk{}, false
	}
	return f.Disks[0], true
}

// fillsADisk reports whether a failure for want of space is one of a file system: it is
// about a file, and the figures do not say that there was room.
func (v *view) fillsADisk(r model.Result) bool {
	if c, _ := v.complaintOf(r); c.cause == CauseKernelLimit {
		return false
	}
	f, needs := v.facts(r.Place), uint64(room)
	if f == nil || len(f.Disks) == 0 {
		f = v.facts(v.runner()) // what does not start has its data there
	}
	if f == nil || len(f.Disks) == 0 {
		return true
	}
	if hears(r.Detail.Message, saysWriting) || r.Detail.Message == "" {
		needs = roomToWrite
	}
	disks := f.Disks
	if slices.Contains(ofDocker, r.Probe) || nested(r.Place) {
		disks = disks[:1] // Docker's own
	}
	return slices.ContainsFunc(disks, func(d model.Disk) bool {
		return d.FreeMB < needs || d.Inodes > 0 && d.FreeInodes < roomInodes
	})
}
