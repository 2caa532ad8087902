package facts

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Tasks reads, once a container has failed, the limit of processes of the cgroup that dockerd
// puts containers into; nil where there is none, or no dockerd.
func Tasks(ctx context.Context) (*model.CgroupTasks, error) {
	d := &model.Dockerd{}
	p := findDockerd(ctx, socketPath(""))
	if p.pid == 0 {
		return nil, nil
	}
	if err := readAllSettings(d, p); err != nil {
		return nil, err
	}
	return containerTasks(d)
}

// containerTasks reads the limit of processes of the cgroup that containers are put into.
func containerTasks(d *model.Dockerd) (*model.CgroupTasks, error) {
	cgroup := "/docker"
	if s, ok := d.Setting("cgroup-parent"); ok {
		cgroup = s.Value
	}
	// A slice is named by its ancestors: a-b.slice is in a.slice.
	if strings.HasSuffix(cgroup, ".slice") && strings.Contains(filepath.Base(cgroup), "-") {
		return nil, nil
	}
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		dir := filepath.Join(root, filepath.Clean("/"+cgroup))
		limit, err := number(filepath.Join(dir, "pids.max"))
		if errors.Is(err, errNoLimit) {
			return nil, nil
		}
		if err != nil {
			continue // not of this version of cgroups, or not made yet
		}
		t := &model.CgroupTasks{Cgroup: cgroup, Max: limit}
		if t.Used, err = number(filepath.Join(dir, "pids.current")); err != nil {
			return nil, fmt.Errorf("read how many processes %s has: %w", dir, err)
		}
		// It is of later kernels.
		if peak, err := number(filepath.Join(dir, "pids.peak")); err == nil {
			t.Peak = peak
		}
		return t, nil
	}
	return nil, nil
}
