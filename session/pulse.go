package session

import (
	"fmt"
	"slices"
	"time"
)

// pulse is how often a session says what it waits for.
const pulse = time.Minute

// wait is something that a session does and that may take long.
type wait struct {
	doing string
	since time.Time
}

// waiting keeps in mind that the session does something, until done is called.
func (s *Session) waiting(format string, args ...any) (done func()) {
	w := &wait{doing: fmt.Sprintf(format, args...), since: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = append(s.waits, w)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waits = slices.DeleteFunc(s.waits, func(other *wait) bool { return other == w })
	}
}

// beat says every minute what the session still waits for: it is not hanging.
func (s *Session) beat() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(pulse)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				s.sayWaits()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// sayWaits has a line for each.
func (s *Session) sayWaits() {
	s.mu.Lock()
	waits := slices.Clone(s.waits)
	s.mu.Unlock()
	for _, w := range waits {
		s.say("still %s, for %s so far", w.doing, time.Since(w.since).Round(time.Second))
	}
}
