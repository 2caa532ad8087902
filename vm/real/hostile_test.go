//go:build e2e

package real

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
)

// The test binary is also a hostile nestlab: a guest has it in the place of that one. The
// host's calls are answered as they have to be for the guest to come up, but the suite
// says what it likes.
const hostileName = "nestlab"

// Ways of a hostile guest besides those of HostileFloods.
const (
	hostileWords = "words"
	// hostileChannels writes to the port for output what is no record, and as much to the
	// console and to the log.
	hostileChannels = "channels"
)

// What a hostile guest prints, in bytes. An emulated processor takes minutes for a gigabyte;
// twice what the host's process may take shows the same there.
const (
	flood         = 1 << 30
	emulatedFlood = 2 * maxHost << 10
)

func hostileMain(args []string) error {
	if args[0] == "vm" && args[1] == "look" {
		return json.NewEncoder(os.Stdout).Encode(vm.Sight{
			Addresses: []string{"10.77.0.1/24"}, Gateway: "10.77.0.1", IPv6: []string{"fd00::1/64"}, Gateway6: "fe80::1", Answered: "10.77.0.1",
		})
	}
	how := args[len(args)-1]
	size, err := strconv.ParseInt(args[len(args)-2], 10, 64)
	if err != nil {
		return err
	}
	if args[0] == "vm" && args[1] == "send" {
		value := func(flag string) string { return args[slices.Index(args, flag)+1] }
		if how == hostileChannels {
			for _, device := range []string{value("--port"), "/dev/console"} {
				if err := floodFile(device, size); err != nil {
					return err
				}
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		_, err := vm.Send(ctx, value("--port"), value("--token"), args[slices.Index(args, "--")+1:], os.Stdin, os.Stderr)
		return err
	}
	switch how {
	case hostileWords:
		_, err := io.WriteString(os.Stdout, modeltest.HostileWords())
		return err
	case hostileChannels:
		how = "log"
	}
	return modeltest.Flood(how, size, os.Stdout, os.Stderr)
}

func floodFile(device string, size int64) error {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return modeltest.Flood("line", size, f, io.Discard)
}

// hostileRole makes the test binary a program that probes a hostile guest and one that is
// well.
const hostileRole = "hostile"

// hostileConfig is what it is told.
type hostileConfig struct {
	Out, Dir, How string
	QEMU          bool
}

func hostileRun(ctx context.Context, args []string) error {
	var c hostileConfig
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	size := int64(flood)
	if c.QEMU {
		size = emulatedFlood
	}
	arguments := func(string) []string { return []string{"--hostile", strconv.FormatInt(size, 10), c.How} }
	container := func(name string, at model.Place, binary string) *vm.Instance {
		return &vm.Instance{
			At: at, With: []string{"network"}, Connect: func(ctx context.Context) (vm.Server, error) { return vm.Connect(ctx, socket, time.Minute) },
			Name: name, Image: alias, Network: vm.Bridge, Pool: "default", Binary: binary, Ready: time.Minute,
		}
	}
	hostile := container("nestlab-hostile", model.Place{Environment: model.EnvLXDContainer}, self)
	hostile.Args = arguments
	var first session.Environment = hostile
	if c.QEMU {
		guest := filepath.Join(*assets, "guest")
		image := vm.Image{Kernel: filepath.Join(guest, "vmlinuz"), Initrd: filepath.Join(guest, "initrd"), Root: filepath.Join(guest, "root.img")}
		first = &vm.QEMU{
			At: model.Place{Environment: model.EnvQEMUBridge}, With: []string{"network"}, Image: image, Bridge: vm.Bridge,
			Binary: self, Dir: filepath.Join(c.Dir, "guest"), Memory: 384, CPUs: 1, Boot: 5 * time.Minute, Args: arguments,
			Accelerator: &vm.Accelerator{Image: image, Dir: filepath.Join(c.Dir, "trial"), Limit: 5 * time.Second},
		}
	}
	s := &session.Session{
		Lanes:   [][]session.Environment{{first, container("nestlab-well", wellPlace, *binary)}},
		Targets: []byte(targets), Platform: "simulated", ProbeTimeout: 30 * time.Second, Progress: os.Stderr,
	}
	err = s.Write(ctx, c.Out, model.Plan{Command: "vm", Items: session.Items(s.Lanes)}, "test", nil)
	var own syscall.Rusage // without QEMU, which is in what a parent is told
	return errors.Join(err, syscall.Getrusage(syscall.RUSAGE_SELF, &own),
		os.WriteFile(filepath.Join(c.Out, peakFile), fmt.Append(nil, own.Maxrss), 0o644))
}

// peakFile has the most memory that the program had, in KiB.
const peakFile = "peak"

// wellPlace is probed beside a hostile guest.
var wellPlace = model.Place{Environment: model.EnvLXDContainer, Scenario: "beside"}

// maxHost is the most memory that the host's process may take, in KiB.
const maxHost = 96 << 10

// A hostile guest changes nothing but its own column, and neither its words nor a
// flood of them on any channel cost the host its memory, its disk or its run.
func TestHostileGuest(t *testing.T) {
	before := snapshot(t)
	// What else there is in HostileFloods differs in nothing that a real guest shows.
	for qemu, ways := range map[bool][]string{
		false: {hostileWords, "line", "results", "log"}, true: {hostileWords, hostileChannels},
	} {
		for _, how := range ways {
			t.Run(fmt.Sprintf("%s,qemu=%t", how, qemu), func(t *testing.T) {
				s := startHostile(t, how, qemu)
				require.Zero(t, s.wait(t), s.stderr.String())
				text, err := os.ReadFile(filepath.Join(s.out, peakFile))
				require.NoError(t, err)
				peak, err := strconv.ParseInt(string(text), 10, 64)
				require.NoError(t, err)
				run := s.run(t)
				t.Logf("%d MiB at most, %.0f s, %d results", peak>>10, time.Since(s.begun).Seconds(), len(run.Results))
				require.Less(t, peak, int64(maxHost))
				requireOwnColumn(t, how, run)
				require.NotRegexp(t, `[\x00-\x09\x0b-\x1f]|(?m)^\s*::|##\[`, s.stderr.String())
				require.Less(t, s.stderr.Len(), 256<<10)
				requireSame(t, before)
			})
		}
	}
}

// startHostile starts hostileRun.
func startHostile(t *testing.T, how string, qemu bool) *started {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	base := filepath.Join(scratch, fmt.Sprintf("hostile-%d", time.Now().UnixNano()))
	c := hostileConfig{Out: filepath.Join(base, "out"), Dir: filepath.Join(base, "dir"), How: how, QEMU: qemu}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	s := &started{out: c.Out, begun: time.Now()}
	s.cmd = exec.Command(self, hostileRole, string(text))
	s.cmd.Stderr = &s.stderr
	require.NoError(t, s.cmd.Start())
	s.killed(t, func() { gc(t); gcGuests(t) })
	return s
}

// requireOwnColumn checks that the place beside was observed whole, and that nothing of
// the hostile one stands anywhere but in its own results and notes.
func requireOwnColumn(t *testing.T, how string, run model.Run) {
	t.Helper()
	var well model.Run
	own, lost := 0, 0
	for _, r := range run.Results {
		switch {
		case r.Place == wellPlace:
			well.Results = append(well.Results, r)
		case r.Reason == model.Lost:
			lost++
			require.LessOrEqual(t, len(r.Detail.Message), model.MaxMessage)
		default:
			own++
			require.NotContains(t, r.Target+r.Probe+r.Detail.Message, modeltest.Evil)
			require.Equal(t, model.RoundBaseline, r.Round)
		}
	}
	requireWhole(t, well)
	require.Empty(t, run.Interventions)
	require.Nil(t, run.Diagnosis.Remedy)
	require.NotContains(t, run.Diagnosis.Summary+run.Diagnosis.Cause, modeltest.Evil)
	require.NotContains(t, strings.Join(run.Notes, "\n"), modeltest.Evil)
	require.LessOrEqual(t, len(run.GuestNotes), 21)
	switch how {
	case hostileWords:
		require.Equal(t, 2, own, "the first one counts")
	case "results":
		require.Equal(t, 1, lost)
		require.Positive(t, own)
	}
}
