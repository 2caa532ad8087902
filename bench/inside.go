package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/testbed/world"
)

//go:embed scripts/*.sh
var scripts embed.FS

// Where the container has the two programs.
const (
	nestlabPath = "/usr/local/bin/nestlab"
	benchPath   = "/usr/local/bin/nestlab-bench"
)

// measured is what the part in the simulated runner hands back.
type measured struct {
	CPUs int `json:"cpus"`
	// LoadBefore and LoadAfter are /proc/loadavg's: other work of the machine shows in the first.
	LoadBefore string    `json:"load_before"`
	LoadAfter  string    `json:"load_after"`
	Samples    []samples `json:"samples"`
}

// inside is the part that runs in the simulated runner.
type inside struct {
	options options
	dir     string
}

// runInside measures in the simulated runner and writes what came of it as JSON.
func runInside(ctx context.Context, o options, out, progress io.Writer) (err error) {
	ca := os.Getenv(world.CAVariable)
	if ca == "" {
		return errors.New("this part runs in a simulated runner only: call go run ./bench without \"inside\"")
	}
	i := inside{options: o}
	if i.dir, err = os.MkdirTemp("", "nestlab-bench-"); err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(i.dir)) }()
	if err := errors.Join(i.writeScripts(), i.writeTargets(ca)); err != nil {
		return err
	}
	m := measured{CPUs: runtime.NumCPU()}
	if m.LoadBefore, err = load(); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, io.Writer) ([]samples, error)
	}{{partNetwork, i.network}, {partDockerd, i.dockerd}} {
		if !slices.Contains(o.parts, part.name) {
			continue
		}
		s, err := part.run(ctx, progress)
		if err != nil {
			return err
		}
		m.Samples = append(m.Samples, s...)
	}
	if m.LoadAfter, err = load(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(m)
}

// network races the network suite, first as it is, then with all TCP dropped.
func (i inside) network(ctx context.Context, progress io.Writer) ([]samples, error) {
	// The suite's own limits: 5 s to connect, 10 s for an answer, 3 s for three echoes.
	same := []string{"5", "10", "-c3", "-i1", "-w3"}
	oneByOne, sideBySide := append([]string{"one-by-one"}, same...), append([]string{"side-by-side"}, same...)
	all, err := measureAll(ctx, progress,
		race{"network checks", i.suite(healthy), i.script("the same one by one, predecessor's limits", healthy, "one-by-one", "10", "30", "-c5"), i.options.slow},
		race{"network checks", i.suite(healthy), i.script("the same one by one, our limits", healthy, oneByOne...), i.options.repeats},
		race{"network checks", i.suite(healthy), i.script("the same side by side (&, wait), our limits", healthy, sideBySide...), i.options.repeats},
	)
	if err != nil {
		return nil, err
	}
	if err := nft(ctx, dropTCP); err != nil {
		return nil, err
	}
	more, err := measureAll(ctx, progress,
		race{"network checks, TCP dropped", i.suite(dropped), i.script("the same one by one, our limits", dropped, oneByOne...), i.options.slow},
		race{"network checks, TCP dropped", i.suite(dropped), i.script("the same side by side (&, wait), our limits", dropped, sideBySide...), i.options.slow},
	)
	return append(all, more...), errors.Join(err, nft(context.WithoutCancel(ctx), dropNothing))
}

// dockerd races the wait for a daemon. A first start, which makes its directory,
// is not measured.
func (i inside) dockerd(ctx context.Context, progress io.Writer) ([]samples, error) {
	if _, err := i.startDaemon(ctx); err != nil {
		return nil, err
	}
	ours := contender{"nestlab's start and poll", i.startDaemon}
	return measureAll(ctx, progress,
		race{"dockerd ready", ours, contender{"start, sleep 15", i.startByScript("dockerd-sleep.sh")}, i.options.slow},
		race{"dockerd ready", ours, contender{"start, docker version each second", i.startByScript("dockerd-poll.sh")}, i.options.repeats},
	)
}

func measureAll(ctx context.Context, progress io.Writer, races ...race) ([]samples, error) {
	var all []samples
	for _, r := range races {
		s, err := r.measure(ctx, progress)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Rules for nft. What comes back is dropped: a silent loss, as on a bad path.
const (
	dropTCP     = "table inet bench { chain input { type filter hook input priority 0; meta l4proto tcp drop; }; }\n"
	dropNothing = "delete table inet bench\n"
)

func nft(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("hand rules to nft: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (i inside) path(script string) string { return filepath.Join(i.dir, script) }

func (i inside) writeScripts() error {
	files, err := scripts.ReadDir("scripts")
	if err != nil {
		return fmt.Errorf("list the scripts: %w", err)
	}
	for _, f := range files {
		text, err := scripts.ReadFile("scripts/" + f.Name())
		if err != nil {
			return fmt.Errorf("read the script: %w", err)
		}
		if err := os.WriteFile(i.path(f.Name()), text, 0o755); err != nil {
			return fmt.Errorf("write the script: %w", err)
		}
	}
	return nil
}

func load() (string, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", fmt.Errorf("read the machine's load: %w", err)
	}
	return strings.Join(strings.Fields(string(text))[:3], " "), nil
}
