package spec

import (
	"errors"
	"fmt"
	"slices"
)

// Doctor asks for the examination of a host as it is.
type Doctor struct {
	// Bridges are those to look at; none for all.
	Bridges []string `json:"bridges,omitempty"`
	// Guests is how many containers of each bridge are looked into.
	Guests int `json:"guests"`
	// Intervene proves a cause by a change that is reverted; Fix applies what helps.
	Intervene bool `json:"intervene"`
	Fix       bool `json:"fix,omitempty"`
}

// Command implements Request.
func (Doctor) Command() Command { return CommandDoctor }

// Validate implements Request.
func (d Doctor) Validate() error {
	if d.Guests < 0 {
		return fmt.Errorf("%d guests of each bridge: give 0 or more", d.Guests)
	}
	if slices.Contains(d.Bridges, "") {
		return errors.New("a bridge without a name: leave it out to look at all")
	}
	return nil
}
