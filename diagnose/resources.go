package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

// The causes that lie in what a machine or a user has been given.
const (
	CauseOutOfMemory  = "out-of-memory"
	CauseSocketDenied = "docker-socket-denied"
)

func outOfMemory() Rule {
	return Rule{
		Cause: CauseOutOfMemory,
		About: "a program was refused memory, or killed for what it took",
		match: matchOutOfMemory, summary: plainly("There is too little memory: a program was refused some, or killed for what it took"),
	}
}

func matchOutOfMemory(v *view) []Hypothesis {
	failed := filter(v.bad(), func(r model.Result) bool {
		reasons := []model.Reason{model.ContainerFailed, model.BuildFailed, model.PackageManager}
		if !slices.Contains(reasons, r.Reason) && (r.Probe != model.ProbeStart || r.Reason == model.DeadlineExceeded) {
			return false
		}
		return ranOutOfMemory(r)
	})
	if len(failed) == 0 {
		return nil
	}
	return []Hypothesis{v.symptom(CauseOutOfMemory, failed, "what failed says so: "+lastLine(failed[0].Detail.Message))}
}

func socketDenied() Rule {
	return Rule{
		Cause: CauseSocketDenied,
		About: "Docker's socket is there, but this user may not open it",
		match: matchSocketDenied, summary: plainly("Docker's socket is closed to this user: be in the socket's group, or root"),
	}
}

func matchSocketDenied(v *view) []Hypothesis {
	failed := filter(v.because(model.Permission), func(r model.Result) bool { return r.Probe == model.ProbeDockerPing })
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseSocketDenied, failed, "opening Docker's socket is denied")
	places := placesOf(failed)
	h.follow(filter(v.because(model.DaemonDown, model.Permission), func(r model.Result) bool { return slices.Contains(places, r.Place) }))
	return []Hypothesis{h}
}
