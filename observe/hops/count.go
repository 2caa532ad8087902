package hops

import (
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// maxPairs bounds the memory of one interface: a pair is about 100 bytes.
const maxPairs = 4096

// pair is one packet's ends.
type pair struct{ from, to netip.Addr }

// counter counts the packets of one interface by their ends: whose they are is
// known only when the place has been probed.
type counter struct {
	pairs map[pair]*[kindEchoReply + 1]uint64
	// missed are packets of further pairs, beyond maxPairs.
	missed uint64
}

func newCounter() *counter { return &counter{pairs: map[pair]*[kindEchoReply + 1]uint64{}} }

func (c *counter) add(p seen) {
	at := pair{p.from, p.to}
	n := c.pairs[at]
	if n == nil {
		if len(c.pairs) >= maxPairs {
			c.missed++
			return
		}
		n = &[kindEchoReply + 1]uint64{}
		c.pairs[at] = n
	}
	n[p.kind]++
}

// place is the flow of a place's own addresses.
func (c *counter) place(own []netip.Addr) model.Flow {
	var f model.Flow
	for at, n := range c.pairs {
		if slices.Contains(own, at.from) {
			f = f.Add(out(n))
		}
		if slices.Contains(own, at.to) {
			f = f.Add(back(n))
		}
	}
	return f
}

// runner is the flow of the runner's addresses. Names are asked by the runner's
// resolver for the place, of whoever it forwards to; everything else counts
// only where the other end is one of the targets.
func (c *counter) runner(own, targets []netip.Addr) model.Flow {
	var f model.Flow
	for at, n := range c.pairs {
		if slices.Contains(own, at.from) {
			f = f.Add(limited(out(n), slices.Contains(targets, at.to)))
		}
		if slices.Contains(own, at.to) {
			f = f.Add(limited(back(n), slices.Contains(targets, at.from)))
		}
	}
	return f
}

// limited leaves of a flow what concerns names, unless the other end is a target.
func limited(f model.Flow, target bool) model.Flow {
	if target {
		return f
	}
	return model.Flow{Out: f.DNSQueries, Back: f.DNSAnswers, DNSQueries: f.DNSQueries, DNSAnswers: f.DNSAnswers}
}

func out(n *[kindEchoReply + 1]uint64) model.Flow {
	f := model.Flow{SYN: n[kindSYN], DNSQueries: n[kindDNSQuery], EchoRequests: n[kindEchoRequest]}
	for _, v := range n {
		f.Out += v
	}
	return f
}

func back(n *[kindEchoReply + 1]uint64) model.Flow {
	f := model.Flow{SYNACK: n[kindSYNACK], Resets: n[kindReset], DNSAnswers: n[kindDNSAnswer], EchoReplies: n[kindEchoReply]}
	for _, v := range n {
		f.Back += v
	}
	return f
}
