// Package testbed holds cases from public reports, and faults made by somebody who did not
// know the rules: how each is brought about in a simulated runner, what its cause was, and
// who found that out. A new one is one file in cases, or in blind.
package testbed

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

//go:embed cases/*.yaml blind/*.yaml
var files embed.FS

// Prefix and BlindPrefix begin the names of the cases, as faults.
const (
	Prefix      = "public-"
	BlindPrefix = "blind-"
)

// Case is one public report, or one blind fault.
type Case struct {
	// Name is the file's.
	Name string `yaml:"-"`
	// Source is where the cause was established, About what was broken in one line.
	Source string `yaml:"source"`
	About  string `yaml:"about"`
	// Order and Environments are those of the runner; environments are runner, container
	// and lxd-container where none are given.
	Order        spec.Order `yaml:"order"`
	Environments []string   `yaml:"environments"`
	// DockerFrom is the suite that the runner's Docker is from, IPv6 gives it IPv6 that works.
	DockerFrom spec.DockerSuite `yaml:"docker_from"`
	IPv6       bool             `yaml:"ipv6"`
	// Docker goes into dockerd's configuration file.
	Docker map[string]any `yaml:"docker"`
	// BeforeDaemons says that Break comes before the daemons start.
	BeforeDaemons bool `yaml:"before_daemons"`
	// Break and Restore are commands in the runner.
	Break   []Command `yaml:"break"`
	Restore []Command `yaml:"restore"`
	// Expect are the causes of which one has to be named first; none means healthy.
	Expect []string `yaml:"expect"`
	// Killer is what has to be named besides.
	Killer Killer `yaml:"killer"`
}

// Killer is what packets end by; empty fields may be anything.
type Killer struct {
	Table string `yaml:"table" json:"table,omitempty"` // family and name
	Chain string `yaml:"chain" json:"chain,omitempty"`
	// Rule is a part of the rule's text.
	Rule string `yaml:"rule" json:"rule,omitempty"`
	// Parameters are those of the remedy, such as interface: eth0.
	Parameters map[string]string `yaml:"remedy" json:"remedy,omitempty"`
	// Setting is the key of a setting of dockerd's.
	Setting string `yaml:"setting" json:"setting,omitempty"`
}

// Command is one command without a shell.
type Command struct {
	Command []string `yaml:"command"`
	Stdin   string   `yaml:"stdin"`
	// Internet has it run in the network behind the runner.
	Internet bool `yaml:"internet"`
}

// All reads every case, in the order of their names.
func All() ([]Case, error) {
	public, err := allOf("cases", Prefix)
	if err != nil {
		return nil, err
	}
	blind, err := allOf("blind", BlindPrefix)
	return append(public, blind...), err
}

func allOf(dir, prefix string) ([]Case, error) {
	names, err := fs.Glob(files, dir+"/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the cases in %s: %w", dir, err)
	}
	var all []Case
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the case %s: %w", name, err)
		}
		c, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read the case %s: %w", name, err)
		}
		c.Name = prefix + strings.TrimSuffix(path.Base(name), ".yaml")
		all = append(all, c)
	}
	return all, nil
}

// Parse reads one case.
func Parse(text []byte) (Case, error) {
	c := Case{Order: spec.LXDFirst, Environments: []string{model.EnvRunner, model.EnvContainer, model.EnvLXDContainer}}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if c.Source == "" || c.About == "" {
		return c, errors.New("it needs a source and an about")
	}
	if len(c.Docker) > 0 && len(c.Break) > 0 && !c.BeforeDaemons {
		return c, errors.New("what dockerd starts with is there from the start: its break needs before_daemons")
	}
	for _, cmd := range slices.Concat(c.Break, c.Restore) {
		if len(cmd.Command) == 0 {
			return c, errors.New("a command is empty")
		}
	}
	return c, nil
}

// Names lists the names of the cases.
func Names() ([]string, error) {
	all, err := All()
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names, err
}

// Find gives the faults of these names, cases among them, in this order.
func Find(names []string) ([]faults.Fault, error) {
	var found []faults.Fault
	for _, name := range names {
		if !strings.HasPrefix(name, Prefix) && !strings.HasPrefix(name, BlindPrefix) {
			one, err := faults.Find([]string{name})
			if err != nil {
				return nil, err
			}
			found = append(found, one...)
			continue
		}
		all, err := All()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(c Case) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown case %q: `nestlab accuracy --list` shows them", name)
		}
		found = append(found, all[i].Fault())
	}
	return found, nil
}

// Fault is the case as something to break a runner by.
func (c Case) Fault() faults.Fault {
	f := faults.Fault{Name: c.Name, About: c.About, Affects: c.Environments, BeforeDaemons: c.BeforeDaemons}
	if len(c.Docker) > 0 {
		f.Settings = &faults.Settings{Docker: c.Docker}
	}
	if len(c.Break) > 0 {
		f.Break = func(ctx context.Context, lab faults.Lab) (faults.Restore, error) {
			restore := func(ctx context.Context) error {
				var errs []error
				for i := range c.Restore { // all of them, also after a break that was not made in full
					errs = append(errs, run(ctx, lab, c.Restore[i:i+1]))
				}
				return errors.Join(errs...)
			}
			if err := run(ctx, lab, c.Break); err != nil {
				return nil, errors.Join(err, restore(context.WithoutCancel(ctx)))
			}
			return restore, nil
		}
	}
	return f
}

// run runs the command where it is to.
func (c Command) run(ctx context.Context, lab faults.Lab, out io.Writer) error {
	if c.Internet {
		return lab.InInternet(func() error {
			cmd := exec.CommandContext(ctx, c.Command[0], c.Command[1:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.Stdin), out, out
			return cmd.Run()
		})
	}
	code, err := lab.Exec(ctx, c.Command, world.Stdio{In: strings.NewReader(c.Stdin), Out: out, Err: out})
	if err == nil && code != 0 {
		err = fmt.Errorf("it ended with %d", code)
	}
	return err
}

// run runs commands one after the other, up to the first that fails.
func run(ctx context.Context, lab faults.Lab, commands []Command) error {
	for _, c := range commands {
		var out bytes.Buffer
		err := c.run(ctx, lab, &out)
		if err != nil {
			return fmt.Errorf("run %s: %w: %s", strings.Join(c.Command, " "), err, strings.TrimSpace(out.String()))
		}
	}
	return nil
}
