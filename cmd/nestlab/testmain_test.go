package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Of these variables the first has this binary be nestlab, and the second names what it
// has for /etc/resolv.conf: it is in mounts of its own then.
const (
	asNestlab  = "NESTLAB_TEST_AS_NESTLAB"
	resolvConf = "NESTLAB_TEST_RESOLV_CONF"
)

// A command that gets further than its test expects calls this program again, by
// os.Executable: that is the test binary, which would run all tests, and so on.
func TestMain(m *testing.M) {
	if os.Getenv(asNestlab) != "" {
		if err := resolveBy(os.Getenv(resolvConf)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		main()
		os.Exit(0)
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintf(os.Stderr, "this is nestlab's test, which does not do %s\n", os.Args[1])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func resolveBy(conf string) error {
	if conf == "" {
		return nil
	}
	// A process that this one starts has it already.
	if err := os.Unsetenv(resolvConf); err != nil {
		return err
	}
	at, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return err
	}
	return unix.Mount(conf, at, "", unix.MS_BIND, "")
}
