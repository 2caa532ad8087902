package remedy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

// guestBridge is the one of the guest in modeltest.
const guestBridge = "lxdbr0"

// dropping is a real Docker-like firewall, behind which is a guest whose probes pass when
// its rules let them.
type dropping struct {
	session.Environment
	at    model.Place
	facts model.Facts
	// in is called in each round, before anything is probed.
	in func(round string)
}

// accepts reports whether the real rules let the guest's packets through.
func accepts() (bool, error) {
	out, err := exec.Command("iptables-nft", "-S", "DOCKER-USER").CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("look at the rules: %w: %s", err, out)
	}
	return strings.Contains(string(out), "-i "+guestBridge), nil
}

func (d *dropping) Place() model.Place                        { return d.at }
func (d *dropping) Suites() []string                          { return []string{"network"} }
func (d *dropping) Start(context.Context, session.Took) error { return nil }
func (d *dropping) Stop(context.Context) error                { return nil }

func (d *dropping) Exec(_ context.Context, c session.Command) (int, error) {
	round := c.Args[slices.Index(c.Args, "--round")+1]
	if d.in != nil {
		d.in(round)
	}
	open, err := accepts()
	if err != nil {
		return -1, err
	}
	out := json.NewEncoder(c.Stdout)
	if !slices.Contains(c.Args, "--no-facts") {
		err = out.Encode(model.Entry{Facts: &d.facts})
	}
	for _, r := range modeltest.Probes(d.at, round, d.at == modeltest.LXDContainer && !open) {
		err = errors.Join(err, out.Encode(model.Entry{Result: &r}))
	}
	return 0, err
}

// intervening is a session that proves why the guest gets nothing, by real rules.
func intervening(journal string, progress io.Writer, in func(round string)) (*session.Session, error) {
	me, err := owner.Self("")
	facts := modeltest.DockerForwardDrop().Facts
	guest := slices.IndexFunc(facts, func(f model.Facts) bool { return f.Place == modeltest.LXDContainer })
	fallen := uint64(0)
	return &session.Session{
		Lanes: [][]session.Environment{{
			&dropping{at: modeltest.Runner, facts: facts[0]}, &dropping{at: modeltest.LXDContainer, facts: facts[guest], in: in},
		}},
		ProbeTimeout: time.Minute, Append: func(model.Entry) error { return nil }, Progress: progress,
		Host: session.Host{
			Observe: func(context.Context) ([]model.ForwardChain, []string) {
				if open, _ := accepts(); !open {
					fallen += 9
				}
				return modeltest.Watch(modeltest.LXDContainer, "", "DROP", 0, fallen).After, nil
			},
			Intervene: remedy.Host{Journal: journal, Owner: &me},
		},
	}, err
}

// proves carries a session out, which is to prove the cause.
func proves(t *testing.T, journal string, in func(round string)) model.Run {
	t.Helper()
	s, err := intervening(journal, io.Discard, in)
	require.NoError(t, err)
	r, err := s.Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Equal(t, model.Proven, r.Diagnosis.Confidence, "%s %q", r.Diagnosis.Summary, r.Notes)
	return r
}

// intervene is a process with such a session that stays in the round intervened, until
// standard input ends.
func intervene(journal string) error {
	s, err := intervening(journal, os.Stderr, func(round string) {
		if round == model.RoundIntervened {
			fmt.Println(round)
			_, _ = io.Copy(io.Discard, os.Stdin)
		}
	})
	if err != nil {
		return err
	}
	r, err := s.Run(context.Background(), model.Plan{Intervene: true}, "test")
	fmt.Println(r.Diagnosis.Confidence)
	return err
}

// changed starts such a process, and waits until it has changed the machine.
func changed(t *testing.T, journal string, attributes *syscall.SysProcAttr) (p *exec.Cmd, in io.Closer, out *bufio.Scanner) {
	t.Helper()
	p = exec.Command(os.Args[0], "intervene", journal, "", "")
	p.SysProcAttr, p.Stderr = attributes, os.Stderr
	in, err := p.StdinPipe()
	require.NoError(t, err)
	text, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill() // it has ended by itself, but in a test that failed
		_ = p.Wait()
	})
	out = bufio.NewScanner(text)
	require.True(t, out.Scan())
	require.Equal(t, model.RoundIntervened, out.Text())
	return p, in, out
}

// guestMachine is the machine with the guest's bridge, and where its journal is.
func guestMachine(t *testing.T) (journal string) {
	t.Helper()
	machine(t)
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: guestBridge}}
	require.NoError(t, netlink.LinkAdd(link))
	t.Cleanup(func() { require.NoError(t, netlink.LinkDel(link)) })
	require.NoError(t, netlink.LinkSetUp(link))
	return filepath.Join(t.TempDir(), "remedies.json")
}

func person(bridge string) model.Remedy {
	return model.Remedy{Name: "docker-user-accept", Parameters: map[string]string{"bridge": bridge}}
}

// TestARunLeavesWhatAPersonApplied, rule by rule, and says that it is there.
func TestARunLeavesWhatAPersonApplied(t *testing.T) {
	journal := guestMachine(t)
	h := remedy.Host{Journal: journal}
	require.NoError(t, h.Apply(t.Context(), person(bridge)))
	before := snapshot(t)
	r := proves(t, journal, nil)
	require.Empty(t, hostsnapshot.Diff(before, snapshot(t)))
	require.Equal(t, before, snapshot(t))
	require.Contains(t, r.Notes, "this runner is observed with what `nestlab remedy apply` has changed: docker-user-accept; `nestlab remedy status` shows it")
	applied, err := h.Applied()
	require.NoError(t, err)
	require.Len(t, applied, 1)
	require.Equal(t, bridge, applied[0].Parameters["bridge"])
	require.NoError(t, h.Revert(t.Context(), person(bridge)))
}

// TestAnInterveningRunThatWasKilledIsTakenBack by the next, and only that is.
func TestAnInterveningRunThatWasKilledIsTakenBack(t *testing.T) {
	journal := guestMachine(t)
	h := remedy.Host{Journal: journal}
	require.NoError(t, h.Apply(t.Context(), person(bridge)))
	before := snapshot(t)
	p, _, _ := changed(t, journal, nil)
	open, err := accepts()
	require.NoError(t, err)
	require.True(t, open)
	status, err := h.Status(t.Context())
	require.NoError(t, err)
	require.Nil(t, status[0].Owner)
	require.Equal(t, p.Process.Pid, status[1].Owner.PID)
	require.NoError(t, p.Process.Kill())
	require.Error(t, p.Wait())

	began := false
	r := proves(t, journal, func(round string) {
		if !began {
			began = true
			require.Equal(t, before, snapshot(t), "before anything was observed")
		}
	})
	require.Contains(t, r.Notes, "an earlier run was killed while it had changed this runner; reverted before anything was observed: docker-user-accept")
	require.Equal(t, before, snapshot(t))
	require.NoError(t, h.Revert(t.Context(), person(bridge)))
}

// TestTwoInterveningRuns: the second is refused, or waits, and the first's proof is right.
func TestTwoInterveningRuns(t *testing.T) {
	journal := guestMachine(t)
	before := snapshot(t)
	var waited chan error
	r := proves(t, journal, func(round string) {
		if round != model.RoundIntervened {
			return
		}
		there := snapshot(t)
		refused, err := intervening(journal+"-other", io.Discard, nil)
		require.NoError(t, err)
		run, err := refused.Run(t.Context(), model.Plan{Intervene: true}, "second")
		var by remedy.Held
		require.ErrorAs(t, err, &by)
		require.Equal(t, os.Getpid(), by.Owner.PID)
		require.Contains(t, by.Command, os.Args[0])
		require.Empty(t, run.Results, "it observed nothing")
		h := remedy.Host{Journal: journal + "-third"}
		require.ErrorAs(t, h.Apply(t.Context(), person(bridge)), &by)
		require.ErrorAs(t, h.Revert(t.Context(), person(bridge)), &by)
		_, err = remedy.Host{Journal: journal}.RevertAll(t.Context())
		require.ErrorAs(t, err, &by)
		require.Equal(t, there, snapshot(t))

		waits, err := intervening(journal, io.Discard, nil)
		require.NoError(t, err)
		waits.LockTimeout = time.Hour
		waiting, told := io.Pipe()
		waits.Progress = told
		waited = make(chan error, 1)
		go func() {
			run, err := waits.Run(t.Context(), model.Plan{Intervene: true}, "third")
			if err == nil && run.Diagnosis.Confidence != model.Proven {
				err = errors.New(run.Diagnosis.Summary)
			}
			waited <- err
		}()
		line, err := bufio.NewReader(waiting).ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "waiting up to 1h0m0s: another nestlab changes this host right now: run ")
		go func() { _, _ = io.Copy(io.Discard, waiting) }() // what it says later is of no interest
	})
	require.Empty(t, r.Notes)
	require.NoError(t, <-waited)
	require.Equal(t, before, snapshot(t))
}

// TestAHostIsANetworkNamespace: another one may be changed at the same time.
func TestAHostIsANetworkNamespace(t *testing.T) {
	journal := guestMachine(t)
	release, err := remedy.Host{Journal: journal}.Hold(t.Context(), 0, nil)
	require.NoError(t, err)
	require.Error(t, hold(t, 0), "here it is held")
	require.NoError(t, hold(t, syscall.CLONE_NEWNET))
	require.NoError(t, release())
	require.NoError(t, hold(t, 0))
}

func hold(t *testing.T, flags uintptr) error {
	t.Helper()
	p := exec.Command(os.Args[0], "hold", filepath.Join(t.TempDir(), "journal"), "", "")
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	return p.Run()
}
