package remedy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

// The tests run in namespaces of their own, with copies of the directories that
// remedies change, and one after the other.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 {
		switch os.Args[1] {
		case "remedy": // the process of dns-forwarder and proxy-on-bridge
			os.Exit(code(serve(os.Args[3:])))
		case "die-applying", "die-reverting":
			os.Exit(code(die(os.Args[1], os.Args[2], os.Args[3], os.Args[4:])))
		case "intervene":
			os.Exit(code(intervene(os.Args[2])))
		case "hold":
			_, err := remedy.Host{Journal: os.Args[2]}.Hold(context.Background(), 0, nil)
			os.Exit(code(err))
		}
	}
	if code, done := hostsnapshot.Isolate(); done {
		os.Exit(code)
	}
	if err := cover(); err != nil {
		fmt.Fprintln(os.Stderr, "give the tests copies of the machine's files:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func code(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// covered are the directories that remedies change.
var covered = []string{"/etc/docker", catalogue.CADirectory, filepath.Dir(catalogue.CABundle), "/etc/alternatives", "/var/lib/dpkg/alternatives"}

// fixtures is a directory that every machine has, and here the tests' own: another
// run of them beside this one has another.
const fixtures = "/mnt"

// cover puts copies over them, in this mount namespace alone. What is missing on
// the machine is made in an overlay, not on the machine.
func cover() error {
	scratch, err := os.MkdirTemp("", "nestlab-remedy-test-")
	if err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil {
		return err
	}
	for i, dir := range covered {
		for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
			if _, err := os.Stat(parent); err != nil {
				continue
			}
			if _, err := os.Stat(dir); err == nil {
				break
			}
			upper, work := fmt.Sprintf("%s/%d-up", scratch, i), fmt.Sprintf("%s/%d-work", scratch, i)
			if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
				return err
			}
			options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", parent, upper, work)
			if err := errors.Join(unix.Mount("overlay", parent, "overlay", 0, options), os.MkdirAll(dir, 0o755)); err != nil {
				return fmt.Errorf("make %s: %w", dir, err)
			}
			break
		}
		duplicate := fmt.Sprintf("%s/%d", scratch, i)
		if err := errors.Join(os.Mkdir(duplicate, 0o755), duplicateTree(dir, duplicate), unix.Mount(duplicate, dir, "", unix.MS_BIND, "")); err != nil {
			return fmt.Errorf("cover %s: %w", dir, err)
		}
	}
	if err := unix.Mount("tmpfs", fixtures, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("cover %s: %w", fixtures, err)
	}
	// The mounts over the directories keep what is in the scratch directory.
	return errors.Join(unix.Unmount(scratch, unix.MNT_DETACH), os.Remove(scratch),
		os.WriteFile(catalogue.CABundle, []byte("# the machine's certificates\n"), 0o644))
}

func duplicateTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case path == from:
			return nil
		case e.IsDir():
			return os.Mkdir(target, 0o755)
		case e.Type()&fs.ModeSymlink != 0:
			leads, err := os.Readlink(path)
			return errors.Join(err, os.Symlink(leads, target))
		}
		text, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(target, text, 0o644))
	})
}

func serve(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := remedy.Server{Kind: args[0], Listen: args[1], Told: os.Stdout}
	for _, a := range args[2:] {
		switch {
		case a == "--wait":
			s.Gate = os.Stdin
		default:
			s.Upstream = a
		}
	}
	return s.Run(ctx)
}

// die applies or reverts a remedy and kills itself at a point of that.
func die(what, journal, point string, args []string) error {
	h := remedy.Host{Journal: journal}.WithReached(func(reached string) {
		if reached == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	r := model.Remedy{Name: args[0], Parameters: map[string]string{}}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		r.Parameters[key] = value
	}
	if what == "die-applying" {
		return h.Apply(context.Background(), r)
	}
	return h.Revert(context.Background(), r)
}
