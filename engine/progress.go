package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// tickEvery is the longest time without a sign of life while a step runs.
const tickEvery = 14 * time.Second

// progress tells a person what goes on, with the time since the start.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
	tick  time.Duration
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, start: time.Now(), tick: tickEvery}
}

// say prints one line.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "[%s] %s\n", clock(time.Since(p.start)), fmt.Sprintf(format, args...))
}

// step runs do and says when it begins, that it still runs, and when it ends.
func (p *progress) step(ctx context.Context, name string, do func(context.Context) error) error {
	begin := time.Now()
	p.say("%s ...", name)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(p.tick)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				p.say("%s ... still at it after %s", name, clock(time.Since(begin)))
			}
		}
	}()
	err := do(ctx)
	close(done)
	<-ended
	if err != nil {
		p.say("%s failed after %s", name, clock(time.Since(begin)))
		return err
	}
	p.say("%s: done in %.1f s", name, time.Since(begin).Seconds())
	return nil
}

// clock shows a time as minutes and seconds.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
