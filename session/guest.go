package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// The limits of what one suite may print: the largest target set, with all retries, makes
// some 3000 results of a few hundred bytes each.
const (
	maxEntries = 5000
	maxPrinted = 16 << 20 // bytes
	// maxLine bounds a line; a probing process cuts what is longer itself.
	maxLine = report.MaxLine
	// maxGarbage bounds the notes of what else it prints.
	maxGarbage = 20
)

// errTooMuch is why a place is lost that does not stop printing.
var errTooMuch = errors.New("it printed too much")

// observed names an observation of an environment, which tells of each once.
type observed struct {
	place                      model.Place
	kind, round, probe, target string
	attempt                    int
}

// collector takes down what a probing process prints, as entries of its place and the
// round, whatever it says itself.
type collector struct {
	*Session
	place            model.Place
	round            string
	entries, results int
	garbage          int
	// asked is the environment where it asked for its address itself, else nil.
	asked Offered
}

// collect journals entries until there are no more. What else is printed is kept as
// notes: it may be all that a dying process had to say.
func (c *collector) collect(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: maxPrinted + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := c.line(lines.Bytes()); err != nil {
			return err
		}
	}
	if more := c.garbage - maxGarbage; more > 0 {
		if err := c.remark(fmt.Sprintf("%d more lines were no observations", more)); err != nil {
			return err
		}
	}
	if limited.N == 0 {
		return fmt.Errorf("%w: more than %d MiB", errTooMuch, maxPrinted>>20)
	}
	return lines.Err()
}

func (c *collector) line(text []byte) error {
	e, err := report.DecodeGuest(text, c.place, c.round)
	switch {
	case err != nil:
		return c.refuse(fmt.Sprintf("%.200q is no observation: %v", text, err))
	case e.GuestNote != nil:
		return c.refuse(e.GuestNote.Note)
	}
	if c.entries++; c.entries > maxEntries {
		return fmt.Errorf("%w: more than %d entries", errTooMuch, maxEntries)
	}
	if !c.first(e) {
		return c.refuse(fmt.Sprintf("%.200q was observed before: the first one counts", text))
	}
	if e.Result != nil {
		c.results++
	}
	if e.Inspection != nil && c.asked != nil {
		e.Inspection.DHCP = append(slices.Clone(c.asked.Offers()), e.Inspection.DHCP...)
	}
	c.punctual(e, c.place)
	return c.append(e)
}

// first reports whether an observation is told of for the first time. The facts and the
// inspection of a round are one each; steps of a set-up may be made again.
func (c *collector) first(e model.Entry) bool {
	key := observed{place: c.place, round: c.round}
	switch {
	case e.Result != nil:
		key.kind, key.probe, key.target, key.attempt = "result", e.Result.Probe, e.Result.Target, e.Result.Attempt
	case e.Facts != nil:
		key.kind = "facts"
	case e.Inspection != nil:
		key.kind = "inspection"
	default:
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.heard[key]
	c.heard[key] = true
	return !again
}

// refuse keeps a line that is no observation as a remark, unless there were many.
func (c *collector) refuse(why string) error {
	if c.garbage++; c.garbage > maxGarbage {
		return nil
	}
	return c.remark(why)
}

// remark keeps what the environment said, or what is wrong with it, as its own words.
func (c *collector) remark(text string) error {
	c.say("%s: %s", c.place, text)
	return c.append(model.GuestEntry{Note: text}.Of(c.place, c.round))
}
