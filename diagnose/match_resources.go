package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

func matchOutOfMemory(v *view) []Hypothesis {
	failed := filter(v.unexplained(), func(r model.Result) bool {
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

func matchSocketDenied(v *view) []Hypothesis {
	failed := filter(v.failedWith(model.Permission), func(r model.Result) bool { return r.Probe == model.ProbeDockerPing })
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseSocketDenied, failed, "opening Docker's socket is denied")
	places := placesOf(failed)
	h.follow(filter(v.failedWith(model.DaemonDown, model.Permission), func(r model.Result) bool { return slices.Contains(places, r.Place) }))
	return []Hypothesis{h}
}
