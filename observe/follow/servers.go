package follow

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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

// maxPorts bounds the ports that are looked at for who listens.
const maxPorts = 16

// listeners looks for who takes the place's DNS queries and DHCP requests.
func (f *Follower) listeners(ctx context.Context, s *model.Sightings, tried []Tried) error {
	if len(f.subject.Bridges) == 0 {
		return nil
	}
	ports := []uint16{listen.DNS, listen.DHCP}
	for _, d := range s.Drops { // where rules send packets instead
		if at := d.Redirect.Port(); d.Fate == model.Redirected && at != 0 && !slices.Contains(ports, at) && len(ports) < maxPorts {
			ports = append(ports, at)
		}
	}
	report, err := listen.Read(ports...)
	if err != nil {
		return fmt.Errorf("look who listens: %w", err)
	}
	s.ListenersRead = true
	for _, socket := range report.Sockets {
		l := model.Listener{Protocol: socket.Protocol.String(), Address: socket.Address, Interface: socket.Device}
		s.Listeners = append(s.Listeners, named(l, socket.Processes))
	}
	askServers(ctx, s.Listeners, report, tried)
	var missing []error
	for _, u := range report.Missing {
		missing = append(missing, u)
	}
	return errors.Join(missing...)
}

func named(l model.Listener, processes []listen.Process) model.Listener {
	if len(processes) > 0 {
		p := processes[0]
		l.Process, l.PID, l.Stopped, l.Options = p.Name, p.PID, p.Stopped, p.Options
		for _, pool := range p.Pools {
			l.Pools = append(l.Pools, model.DHCPPool(pool))
		}
	}
	return l
}
