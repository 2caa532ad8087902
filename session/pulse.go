package session

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// beatEvery is how often it is said what is waited for.
const beatEvery = time.Minute

// Pulse says what is being done, each time with the seconds since the pulse was made,
// and what is waited for. It may be used from many sides at once.
type Pulse struct {
	to     io.Writer
	begun  time.Time
	saying sync.Mutex
	mu     sync.Mutex
	waits  []*wait
}

// wait is something that is done and may take long.
type wait struct {
	doing string
	since time.Time
}

// NewPulse makes a pulse that writes to to, one line at a time.
func NewPulse(to io.Writer) *Pulse { return &Pulse{to: to, begun: time.Now()} }

// Say has a line for what happened, of which a guest may have had words.
func (p *Pulse) Say(format string, args ...any) {
	p.saying.Lock()
	defer p.saying.Unlock()
	fmt.Fprintf(p.to, "[%6.1fs] %s\n", time.Since(p.begun).Seconds(), report.Line(model.Clip(fmt.Sprintf(format, args...), model.MaxMessage)))
}

// Waiting keeps in mind that something is being done, until done is called.
func (p *Pulse) Waiting(format string, args ...any) (done func()) {
	w := &wait{doing: fmt.Sprintf(format, args...), since: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = append(p.waits, w)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waits = slices.DeleteFunc(p.waits, func(other *wait) bool { return other == w })
	}
}

// Beat says every minute what is still waited for, until stop is called: it is not
// hanging.
func (p *Pulse) Beat() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				p.sayWaits()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// sayWaits has a line for each.
func (p *Pulse) sayWaits() {
	p.mu.Lock()
	waits := slices.Clone(p.waits)
	p.mu.Unlock()
	for _, w := range waits {
		p.Say("still %s, for %s so far", w.doing, time.Since(w.since).Round(time.Second))
	}
}
