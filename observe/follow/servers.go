package follow

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/listen"
	"github.com/nestlab/nestlab/observe/probe"
)

// At most so many servers are asked, each as long, and again meanwhile.
const (
	maxServers = 4
	askFor     = 3 * time.Second
)

// askServers asks the servers of who takes the questions of a place that got no answer, as
// that one does.
func askServers(ctx context.Context, all []model.Listener, report listen.Report, tried []Tried) {
	for _, t := range tried {
		if t.Names == "" {
			continue
		}
		on := report.On(observe.UDP, netip.AddrPortFrom(t.Destination, listen.DNS), t.In)
		if len(on) == 0 || len(on[0].Processes) == 0 || !on[0].Processes[0].ServersRead {
			continue
		}
		p := on[0].Processes[0]
		told := askAll(ctx, p.Servers[:min(len(p.Servers), maxServers)], t.Names)
		for i := range all {
			if all[i].PID == p.PID {
				all[i].Servers, all[i].ServersRead = told, len(p.Servers) <= maxServers
			}
		}
		return
	}
}

// askAll asks servers for the address of a name.
func askAll(ctx context.Context, servers []netip.AddrPort, name string) []model.NameServer {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	told := make([]model.NameServer, len(servers))
	var all sync.WaitGroup
	for i, at := range servers {
		all.Go(func() {
			told[i].Address = at
			told[i].Answer, told[i].Reason = probe.Ask(ctx, at, name)
		})
	}
	all.Wait()
	return told
}
