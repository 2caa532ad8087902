package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A command that gets further than its test expects calls this program again, by
// os.Executable: that is the test binary, which would run all tests, and so on.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintf(os.Stderr, "this is nestlab's test, which does not do %s\n", os.Args[1])
		os.Exit(1)
	}
	os.Exit(m.Run())
}
