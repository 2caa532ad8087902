package diagnose_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// many is a run in which all places have told of as many targets more, as they fail or
// pass in the first of those they have, in all rounds.
func many(run model.Run, more int) model.Run {
	reasons := []model.Reason{"", model.Refused, model.ConnectTimeout, model.DNSTimeout, model.ServerError, model.RateLimited, model.RegistryError, model.MTU, model.ReadTimeout, model.PackageManager}
	probes := model.Probes()[1:]
	for _, r := range run.Results[:len(run.Results):len(run.Results)] {
		if r.Probe != model.ProbeTCP {
			continue
		}
		for i := range more {
			x := r
			x.Target = fmt.Sprintf("host-%d.test:80", i)
			if i%2 == 1 && r.Place != modeltest.Runner { // else as that place's own
				x.Probe, x.Reason = probes[i%len(probes)], reasons[i%len(reasons)]
				x.Outcome = model.Fail
				if x.Reason == "" {
					x.Outcome = model.Pass
				}
			}
			run.Results = append(run.Results, x)
		}
	}
	return run
}

// What a diagnosis takes grows with what there is to diagnose, not with its square: a
// guest that tells of very much holds nobody up. It is told by the processor's time, which
// a busy machine does not change.
func TestTimeGrowsWithTheResults(t *testing.T) {
	for name, most := range map[string]int{"drop": 20_000, "proven": 100_000} {
		run := map[string]func() model.Run{"drop": modeltest.DockerForwardDrop, "proven": modeltest.Proven}[name]
		took := func(results int) time.Duration {
			run := run()
			run = many(run, results/len(filter(run.Results, func(r model.Result) bool { return r.Probe == model.ProbeTCP })))
			begin := used(t)
			diagnose.Diagnose(run)
			d := used(t) - begin
			t.Logf("%s: %d results: %s", name, len(run.Results), d)
			return d
		}
		few, all := took(most/8), took(most)
		require.Less(t, all, 20*few, "eight times as many")
	}
}

// used is the processor's time that this process has had.
func used(t *testing.T) time.Duration {
	t.Helper()
	var all unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &all))
	return time.Duration(all.Utime.Nano())
}

func filter[T any](in []T, keep func(T) bool) (out []T) {
	for _, x := range in {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}
