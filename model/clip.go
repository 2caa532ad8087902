package model

import (
	"fmt"
	"strings"
)

// The limits of texts from outside, in bytes: a message is an error or a note, a value
// one of a result's named observations.
const (
	MaxMessage = 4 << 10
	MaxValue   = 1 << 10
	// maxParts bounds the addresses and the values of one result.
	maxParts = 256
)

// clipRoom is what the words about a cut take, in bytes.
const clipRoom = 48

// Clip shortens a text to limit bytes, which are more than clipRoom. It keeps the
// beginning, which says what was being done, and the end, which says why it failed, and
// says how much it left out.
func Clip(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	head, end := (limit-clipRoom)*3/4, (limit-clipRoom)/4
	return fmt.Sprintf("%s … (%d bytes cut) … %s", strings.ToValidUTF8(s[:head], ""), len(s)-head-end, strings.ToValidUTF8(s[len(s)-end:], ""))
}

// Clip bounds every text of the result.
func (r *Result) Clip() {
	for _, s := range []*string{&r.Probe, &r.Target} {
		*s = Clip(*s, MaxValue)
	}
	r.Detail.Message = Clip(r.Detail.Message, MaxMessage)
	r.Detail.Output = Clip(r.Detail.Output, MaxMessage)
	if len(r.Detail.Dials) > maxParts {
		r.Detail.Dials = r.Detail.Dials[:maxParts]
	}
	for i := range r.Detail.Dials {
		r.Detail.Dials[i].Address = Clip(r.Detail.Dials[i].Address, MaxValue)
	}
	for name, value := range r.Detail.Values {
		if len(r.Detail.Values) > maxParts || len(name) > MaxValue {
			delete(r.Detail.Values, name)
			continue
		}
		r.Detail.Values[name] = Clip(value, MaxValue)
	}
}
