package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// printStatus says what there is, for a person.
func printStatus(ctx context.Context, c cache) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	if e, ok := detect(ctx, c, os.LookupEnv); ok {
		row("in use", "%s", e.how)
	}
	st, alive, err := c.running()
	if err != nil {
		return err
	}
	if alive {
		row("our engine", "%s, up for %s, %s", st.Version, time.Since(st.Since).Round(time.Second), answering(c.answers()))
		row("processes", "supervisor and mirror %d, engine %d, uplink %d", st.Supervisor.PID, st.Engine.PID, st.Uplink.PID)
		row("socket", "unix://%s", c.socket())
		row("mirror", "%s on the host, port %s of loopback in the engine's network", st.Mirror, mirrorPort)
	} else {
		row("our engine", "not running")
	}
	if refs, err := references(c.path("images")); err == nil {
		row("images", "%s", strings.Join(slices.Sorted(maps.Keys(refs)), ", "))
	} else {
		row("images", "not built")
	}
	row("cache", "%s", c.dir)
	row("logs", "%s", c.path("log"))
	used, err := size(c.dir)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	row("disk", "%.1f GB", float64(used)/1e9)
	return w.Flush()
}

func answering(yes bool) string {
	if yes {
		return "answering"
	}
	return "not answering"
}

// sortedKeys are a map's keys in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// parentOf is the directory that NESTLAB_CACHE names for a cache.
func parentOf(dir string) string { return filepath.Dir(dir) }
