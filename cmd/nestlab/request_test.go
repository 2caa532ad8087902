package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
)

// reading is a command that reads a request and does nothing.
func reading[T spec.Request](request *T, bind func(*pflag.FlagSet, *T)) *cobra.Command {
	cmd := &cobra.Command{Use: "read", SilenceErrors: true, SilenceUsage: true}
	read := requestFlags(cmd, request, bind)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return read(cmd) }
	return cmd
}

// The request in a file is the one that flags make, and the two are not mixed.
func TestRequestInAFile(t *testing.T) {
	t.Parallel()
	flags := spec.NewSimulation()
	_, _, err := executed(t, reading(&flags, simulationFlags), "--order", "lxd-first", "--environments", "lxd-*,runner", "--faults", "nat-off", "--retries", "2", "--intervene=false")
	require.NoError(t, err)
	want := spec.Simulation{
		Order: spec.LXDFirst, Runner: spec.Namespaced, Environments: []string{"lxd-*", "runner"}, Faults: []string{"nat-off"}, Retries: 2, TimeoutScale: 1,
	}
	require.Equal(t, want, flags)
	text, err := spec.Encode(flags)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "request.json")
	require.NoError(t, os.WriteFile(file, text, 0o644))

	var read spec.Simulation
	_, _, err = executed(t, reading(&read, simulationFlags), "--spec", file)
	require.NoError(t, err)
	require.Equal(t, want, read)

	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--spec", file, "--order", "lxd-first", "--retries", "1"}, "leave out --order, --retries"},
		{[]string{"--spec", file + ".none"}, "open the request"},
		{[]string{"--order", "random"}, `unknown order "random": use one of docker-first, lxd-first`},
		{[]string{"--faults", "gremlins"}, `unknown fault "gremlins"`},
	} {
		_, _, err = executed(t, reading(&spec.Simulation{}, simulationFlags), c.args...)
		require.ErrorContains(t, err, c.says)
		require.Equal(t, exitUsage, exitCode(err))
	}
}

// The defaults of the flags are those of the requests, and each field has a flag.
func TestFlagsAreTheRequest(t *testing.T) {
	t.Parallel()
	requireFlags(t, spec.NewSimulation(), simulationFlags)
	requireFlags(t, spec.NewDind(), dindFlags)
	requireFlags(t, spec.NewDocker(), dockerFlags)
	requireFlags(t, spec.NewHostRun(), hostFlags)
	requireFlags(t, spec.NewAccuracy(), accuracyFlags)
}

func requireFlags[T spec.Request](t *testing.T, want T, bind func(*pflag.FlagSet, *T)) {
	t.Helper()
	got := want
	f := pflag.NewFlagSet("flags", pflag.ContinueOnError)
	bind(f, &got)
	require.Equal(t, want, got, "binding the flags changes a default")
	n := 0
	f.VisitAll(func(flag *pflag.Flag) {
		require.NotEmpty(t, flag.Usage)
		if !flag.Hidden {
			n++
		}
	})
	require.Equal(t, fields(reflect.TypeOf(want)), n, "%T has another number of fields than of flags", want)
}

func fields(t reflect.Type) (n int) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous {
			n += fields(f.Type)
		} else {
			n++
		}
	}
	return n
}

// Docker-in-Docker runs what was planned, whatever the old name of the phase's flag.
func TestDindRunsItsPlan(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--phase", "--moment"} {
		r := dindRun{request: spec.NewDind(), socket: dind.DefaultSocket}
		_, _, err := executed(t, reading(&r.request, dindFlags), flag, "runtime", "--internet", "simulated")
		require.NoError(t, err)
		plan, err := r.request.Plan()
		require.NoError(t, err)
		require.Equal(t, "runtime", plan.Command)
		require.Equal(t, model.PlatformSimulated, plan.Platform)
		here, err := r.here()
		require.NoError(t, err)
		require.Equal(t, spec.BaseImage, here.Inner)
		require.Equal(t, []string{spec.AptSource}, here.Install.Sources)
		lanes, err := session.Lanes(plan.Items, func(model.PlanItem) string { return "" }, here.Environment)
		require.NoError(t, err)
		require.Equal(t, plan.Items, session.Items(lanes))
	}
	help, _, err := executed(t, newDindCommand(), "run", "--help")
	require.NoError(t, err)
	require.False(t, strings.Contains(help, "--moment"), help)
}
