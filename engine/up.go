package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
)

const (
	// startDeadline is what the engine gets from its start to its first answer.
	// It takes a second; with much to check in its state, some more.
	startDeadline = 2 * time.Minute
	// cliDeadline bounds the first real call, which asks the engine its version.
	cliDeadline = time.Minute
	// diskNeeded is what a build and a first use take, in bytes.
	diskNeeded = 8 << 30
)

// up makes sure that there is an engine to use.
func up(ctx context.Context, c cache) error {
	out := newProgress(os.Stderr)
	if e, ok := detect(ctx, c, os.LookupEnv); ok {
		if err := e.answers(ctx); err != nil {
			return err
		}
		out.say("using the engine that is there: %s", e.how)
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("an engine of our own needs root, for namespaces and mounts: run this as root, or %w", errNextStep)
	}
	unlock, err := c.lock(ctx, out)
	if err != nil {
		return err
	}
	return errors.Join(c.bringUp(ctx, out), unlock())
}

func (c cache) bringUp(ctx context.Context, out *progress) error {
	if err := errors.Join(c.prepare(), removeWorlds(ctx, out)); err != nil {
		return err
	}
	sp, err := c.build(ctx, out)
	if err != nil {
		return err
	}
	st, alive, err := c.running()
	if err != nil {
		return err
	}
	if alive && st.Generation == sp.Generation && c.healthy(ctx, st) == nil {
		out.say("the engine is up already")
		return nil
	}
	if alive {
		out.say("the engine that runs is not the one that was built, or is not well: starting it again")
	}
	if _, err := c.stop(ctx, out); err != nil {
		return err
	}
	if err := out.step(ctx, "start the engine", func(ctx context.Context) error { return c.start(ctx, sp) }); err != nil {
		return err
	}
	out.say(`the engine is up; a shell uses it after: eval "$(make -s engine-env)"`)
	return nil
}

// build makes what is missing or broken and gives what to run.
func (c cache) build(ctx context.Context, out *progress) (spec, error) {
	source, err := sourceDir()
	if err != nil {
		return spec{}, err
	}
	g, err := readGo(ctx)
	if err != nil {
		return spec{}, err
	}
	sources, err := debianSources("/etc")
	if err != nil {
		return spec{}, err
	}
	if err := c.roomToBuild(); err != nil {
		return spec{}, err
	}
	if err := c.hostTools(ctx, out); err != nil {
		return spec{}, err
	}
	// Compiling keeps the processors busy, the roots the network: side by side.
	var bins, roots map[string]string
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { bins, err = c.compile(bothCtx, out, source, g); return err })
	both.Go(func() (err error) { roots, err = c.buildRoots(bothCtx, out, sources); return err })
	if err := both.Wait(); err != nil {
		return spec{}, err
	}
	return c.assemble(ctx, out, source, g, bins, roots)
}

func (c cache) buildRoots(ctx context.Context, out *progress, sources []string) (map[string]string, error) {
	digests := map[string]string{}
	for _, name := range sortedKeys(rootPackages) {
		a, err := c.root(name, sources)
		if err != nil {
			return nil, err
		}
		if digests[name], err = c.ensure(ctx, out, a); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// assemble makes the engine's root and the images of binaries and roots.
func (c cache) assemble(ctx context.Context, out *progress, source string, g goSettings, bins, roots map[string]string) (spec, error) {
	rootArtifact, err := c.engineRoot(roots["engine"], bins)
	if err != nil {
		return spec{}, err
	}
	root, err := c.ensure(ctx, out, rootArtifact)
	if err != nil {
		return spec{}, err
	}
	sdk, err := c.ensure(ctx, out, c.sdkLayer(source, bins["codegen"], roots["engine"], g))
	if err != nil {
		return spec{}, err
	}
	images, err := c.ensure(ctx, out, c.store(g, roots["base"], roots["engine"], sdk))
	if err != nil {
		return spec{}, err
	}
	refs, err := references(c.path("images"))
	if err != nil {
		return spec{}, err
	}
	env := engineEnv(g, os.LookupEnv)
	generation := recipe(append([]string{root, images}, env...)...)
	return spec{Generation: generation, SDKDigest: refs[sdkRef].Digest.String(), Env: env}, nil
}

// start runs the supervisor on its own and waits for the engine's first answer.
func (c cache) start(ctx context.Context, sp spec) error {
	if err := writeJSON(c.specPath(), sp); err != nil {
		return fmt.Errorf("write what to run: %w", err)
	}
	logPath := c.path("log", "supervisor.log")
	out, err := createLog(logPath)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command("/proc/self/exe", "supervise")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "NESTLAB_CACHE="+parentOf(c.dir))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	if err := c.waitReady(ctx, died); err != nil {
		// What half runs is of no use to anybody; ctx may be over already.
		_, ended := c.stop(context.WithoutCancel(ctx), newProgress(io.Discard))
		return errors.Join(fmt.Errorf("%w; if what it keeps is broken, make clean-cache starts afresh\n%s\n%s",
			err, tail(logPath), tail(c.path("log", "engine.log"))), ended)
	}
	return nil
}

// waitReady polls until the engine is well, has died or has had its time.
func (c cache) waitReady(ctx context.Context, died <-chan error) error {
	poll := backoff.NewExponentialBackOff()
	poll.InitialInterval, poll.MaxInterval = 50*time.Millisecond, time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case err := <-died:
			return struct{}{}, backoff.Permanent(errors.Join(errors.New("the engine did not start"), err))
		default:
		}
		st, alive, err := c.running()
		if err == nil && !alive {
			err = errors.New("the engine is not up yet")
		}
		if err == nil {
			err = c.healthy(ctx, st)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(poll), backoff.WithMaxElapsedTime(startDeadline))
	return err
}

// healthy asks the mirror and the engine themselves.
func (c cache) healthy(ctx context.Context, st state) error {
	if !c.answers() {
		return errors.New("the engine does not answer on " + c.socket())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+st.Mirror+"/v2/", nil)
	if err != nil {
		return fmt.Errorf("ask the mirror: %w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}, Timeout: headerDeadline}).Do(req)
	if err != nil {
		return fmt.Errorf("ask the mirror: %w", err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("ask the mirror: %s", resp.Status), err)
	}
	ctx, cancel := context.WithTimeout(ctx, cliDeadline)
	defer cancel()
	cmd := newCommand(ctx, c.bin("dagger"), "--silent", "core", "version")
	cmd.Env = append(os.Environ(), "DO_NOT_TRACK=1", "DAGGER_NO_NAG=1", runnerHost+"=unix://"+c.socket())
	cmd.Dir = "/"
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ask the engine its version: %w: %s", err, b)
	}
	return nil
}
