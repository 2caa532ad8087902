package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// contender is one way to do a thing; run does it once and says how long that
// took, without what has to be cleaned up afterwards.
type contender struct {
	is  string
	run func(context.Context) (time.Duration, error)
}

// race is two ways to do the same, measured in turns.
type race struct {
	what         string
	ours, theirs contender
	repeats      int
}

// measure runs both in turns. Who goes first alternates, so that neither always
// runs on what the other left warm.
func (r race) measure(ctx context.Context, progress io.Writer) (samples, error) {
	s := samples{What: r.what, OursIs: r.ours.is, TheirsIs: r.theirs.is}
	for i := range r.repeats {
		turns := []func() error{
			func() error { return r.once(ctx, r.ours, &s.Ours) },
			func() error { return r.once(ctx, r.theirs, &s.Theirs) },
		}
		if i%2 == 1 {
			turns[0], turns[1] = turns[1], turns[0]
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return s, fmt.Errorf("%s, repeat %d: %w", r.what, i+1, err)
			}
		}
		if _, err := fmt.Fprintf(progress, "%s [%d/%d]: %s %.2f s, %s %.2f s\n", r.what, i+1, r.repeats,
			r.ours.is, s.Ours[i], r.theirs.is, s.Theirs[i]); err != nil {
			return s, fmt.Errorf("write the progress: %w", err)
		}
	}
	return s, nil
}

func (r race) once(ctx context.Context, c contender, into *[]float64) error {
	took, err := c.run(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.is, err)
	}
	*into = append(*into, took.Seconds())
	return nil
}
