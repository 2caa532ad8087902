package model

import (
	"cmp"
	"encoding/json"
)

// formerText is the name that Text had in files of earlier versions.
type formerText struct {
	Says string `json:"says"`
}

// UnmarshalJSON reads evidence, of earlier versions too.
func (e *Evidence) UnmarshalJSON(text []byte) error {
	type plain Evidence // without this method
	var former formerText
	if err := decodeBoth(text, (*plain)(e), &former); err != nil {
		return err
	}
	e.Text = cmp.Or(e.Text, former.Says)
	return nil
}

// UnmarshalJSON reads a proof, of earlier versions too.
func (p *Proof) UnmarshalJSON(text []byte) error {
	type plain Proof
	var former formerText
	if err := decodeBoth(text, (*plain)(p), &former); err != nil {
		return err
	}
	p.Text = cmp.Or(p.Text, former.Says)
	return nil
}

func decodeBoth(text []byte, now, former any) error {
	if err := json.Unmarshal(text, now); err != nil {
		return err
	}
	return json.Unmarshal(text, former)
}
