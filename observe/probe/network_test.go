package probe_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// Large packets that do not pass on a network of its own are told of; that nothing passes
// there is for other probes to tell. That real containers do this is shown by real daemons.
func TestDockerNetwork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prints  string
		outcome model.Outcome
		reason  model.Reason
	}{
		"large ones hang": {`{"result":{"probe":"path-mtu","outcome":"fail","reason":"mtu","detail":{"message":"down","values":{"path_mtu":"1500"}}}}`, model.Fail, model.MTU},
		"all pass":        {`{"result":{"probe":"path-mtu","outcome":"pass","detail":{"values":{"path_mtu":"1400"}}}}`, model.Pass, ""},
		"none pass":       {`{"result":{"probe":"path-mtu","outcome":"fail","reason":"connect-timeout"}}`, model.Skip, model.NotApplicable},
		"another program": {"Hello from Docker!", model.Skip, model.NotApplicable},
	} {
		f := newFakeDaemon(t)
		f.prints = "[1/1] progress\n" + test.prints + "\n"
		set := &targets.Set{Docker: &targets.Docker{Image: fakeImage}, PathMTU: []targets.PathMTU{{URL: "http://192.0.2.1/blob"}}}
		results := observe(t, set, f.host, model.SuiteDocker)
		i := slices.IndexFunc(results, func(r model.Result) bool { return r.Probe == model.ProbeDockerNetwork })
		require.GreaterOrEqual(t, i, 0, name)
		r := results[i]
		require.Equal(t, []any{test.outcome, test.reason}, []any{r.Outcome, r.Reason}, "%s: %s", name, r.Detail.Message)
		require.True(t, f.called("DELETE /networks/n1"), name)
		require.Equal(t, "1400", r.Detail.Values["default_mtu"])
		require.False(t, strings.Contains(r.Detail.Output, "progress"))
	}
}
