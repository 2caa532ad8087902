package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// dockerdSays makes a hypothesis of environments whose daemon did not start and
// named one cause.
func (v *view) dockerdSays(cause string) []Hypothesis {
	var failed []model.Result
	var first complaint
	for _, r := range v.unexplained() {
		if c, ok := v.complaintOf(r); ok && c.cause == cause {
			if len(failed) == 0 {
				first = c
			}
			failed = append(failed, r)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(cause, failed, "dockerd says: "+shorten(first.words))
	places := placesOf(failed)
	h.follow(filter(v.unexplained(), func(r model.Result) bool {
		needs := []model.Reason{model.DaemonDown, model.NotStarted, model.Lost}
		return slices.Contains(needs, r.Reason) && (slices.Contains(places, r.Place) || nested(r.Place))
	}))
	return []Hypothesis{h}
}

func matchStorageDriver(v *view) []Hypothesis {
	all := v.dockerdSays(CauseStorageDriver)
	failed := v.failedWith(model.StorageDriver)
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
