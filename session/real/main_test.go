// Package real tests whole runs in network namespaces: real probes in a guest and on the
// router that it is behind, real rules, and what the run says of them.
package real

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
)

// resolvConf names the variable that has this binary probe, as nestlab probe does, with
// this file for /etc/resolv.conf.
const resolvConf = "NESTLAB_TEST_RESOLV_CONF"

func TestMain(m *testing.M) {
	conf := os.Getenv(resolvConf)
	if conf == "" {
		os.Exit(m.Run())
	}
	if err := probeHere(conf, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// probeHere takes the arguments of nestlab probe.
func probeHere(conf string, args []string) error {
	o := probe.Options{ResolvConf: conf, DockerHost: "unix:///nonexistent"}
	var timeout time.Duration
	var noFacts bool
	f := flag.NewFlagSet("probe", flag.ContinueOnError)
	f.StringVar(&o.Place.Environment, "environment", "", "")
	f.StringVar(&o.Round, "round", "", "")
	f.StringVar(&o.Platform, "platform", "", "")
	f.String("targets", "", "")
	f.IntVar(&o.Retries, "retries", 0, "")
	f.DurationVar(&timeout, "timeout", 0, "")
	f.BoolVar(&noFacts, "no-facts", false, "")
	f.Func("suite", "", func(s string) error { o.Suites = append(o.Suites, s); return nil })
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if o.Targets, err = targets.Parse(os.Stdin); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	out := json.NewEncoder(os.Stdout)
	if !noFacts {
		read := facts.Collect(ctx, facts.Options{Place: o.Place, Platform: o.Platform, DockerHost: o.DockerHost})
		if read.Resolvers, err = nameservers(conf); err != nil {
			return err
		}
		if err := out.Encode(model.Entry{Facts: &read}); err != nil {
			return err
		}
	}
	var failed []error
	err = probe.Run(ctx, o, func(r model.Result) { failed = append(failed, out.Encode(model.Entry{Result: &r})) })
	return errors.Join(append(failed, err)...)
}
