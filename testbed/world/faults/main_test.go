package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

// The test binary plays every part: the tests, the world's own processes, the
// probes in the runner and in its guest.
func TestMain(m *testing.M) {
	parts := map[string]func(context.Context, []string) error{
		"world": func(ctx context.Context, args []string) error { return world.ChildMain(ctx, args[1:]) }, // world child ROLE
		"suite": suite,
		"knock": knock,
	}
	if len(os.Args) > 1 {
		if part, found := parts[os.Args[1]]; found {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			err := part(ctx, os.Args[2:])
			stop()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(99)
			}
			os.Exit(0)
		}
	}
	if code, done := hostsnapshot.Isolate(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// suite probes from where it is, and prints results as JSON lines.
func suite(ctx context.Context, _ []string) error {
	set, err := targets.Builtin(targets.Simulated)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(os.Getenv(world.CAVariable))
	if err != nil {
		return err
	}
	set = set.WithCA(ca)
	set.ICMP, set.DNS, set.TCP = nil, []string{"registry.lab.test"}, []string{"archive.lab.test:80"}
	set.HTTP = []string{"http://archive.lab.test/", "http://archive.lab.test/debian/Release"}
	set.HTTPS = []string{"https://registry.lab.test/v2/", "https://registry.lab.test/v2/library/hello/manifests/1"}
	set.Deadlines = map[string]targets.Duration{}
	for _, name := range append(model.Probes(), targets.DeadlineConnect) {
		set.Deadlines[name] = targets.Duration(1500 * time.Millisecond)
	}
	out := json.NewEncoder(os.Stdout)
	return probe.Run(ctx, probe.Options{
		Place: model.Place{Environment: model.EnvRunner}, Round: model.RoundBaseline, Platform: "simulated",
		Targets: set, Suites: []string{model.SuiteNetwork},
	}, func(r model.Result) {
		if err := out.Encode(r); err != nil {
			panic(err)
		}
	})
}

// knock sends one packet: `knock ADDRESS:PORT`.
func knock(_ context.Context, args []string) error {
	conn, err := net.Dial("udp4", args[0])
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("?"))
	return err
}
