package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

// spec is what the supervisor is to run. up writes it before each start.
type spec struct {
	Generation string   `json:"generation"` // digest of all that is run
	SDKDigest  string   `json:"sdkDigest"`  // manifest of the Go SDK's image
	Env        []string `json:"env"`        // of the engine, beyond the fixed part
}

// state is what runs. It is there from the start of the supervisor's children
// until they are gone, and outlives only a supervisor that was killed.
type state struct {
	Generation string    `json:"generation"`
	Version    string    `json:"version"`
	Since      time.Time `json:"since"`
	Supervisor process   `json:"supervisor"`
	Engine     process   `json:"engine"`
	Uplink     process   `json:"uplink"`
	Mirror     string    `json:"mirror"`  // address on the host's loopback
	Cgroups    []string  `json:"cgroups"` // those that were there before
}

func (c cache) specPath() string  { return c.path("run", "spec.json") }
func (c cache) statePath() string { return c.path("run", "state.json") }
func (c cache) portPath() string  { return c.path("run", "mirror-address") }

// running is the state of an engine of ours, and whether there is one.
func (c cache) running() (state, bool, error) {
	var st state
	ok, err := readJSON(c.statePath(), &st)
	if err != nil || !ok {
		return st, false, err
	}
	return st, st.Supervisor.alive() && st.Engine.alive(), nil
}

// answers tells whether the engine takes connections on its socket.
func (c cache) answers() bool {
	conn, err := net.DialTimeout("unix", c.socket(), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// readJSON reads a file into v and tells whether it is there.
func readJSON(path string, v any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w; remove it if it is broken", path, err)
	}
	return true, nil
}
