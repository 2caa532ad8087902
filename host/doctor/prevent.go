package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// checkName checks the name of a bridge that is not there yet.
func checkName(name string) error {
	if err := catalogue.Interface(name); err != nil {
		return fmt.Errorf("%w: %q: %w", ErrNoBridge, name, err)
	}
	return nil
}

// Prevent accepts in DOCKER-USER what guests of the bridges send, and the answers, of each
// family that has the chain: for bridges that no guest is on yet, or that are not there yet,
// and for a policy that comes later. It returns what it applied, and leaves out what is.
func (d *Doctor) Prevent(ctx context.Context) (applied []model.Remedy, err error) {
	h := remedy.Host{Journal: d.Journal}
	for _, bridge := range d.preventable() {
		for _, family := range []string{catalogue.V4, catalogue.V6} {
			r := catalogue.Named(catalogue.DockerUserAccept, map[string]string{"bridge": bridge, "family": family})
			switch made, failed := h.Ensure(ctx, r); {
			case made:
				applied = append(applied, r)
			case failed != nil && !errors.Is(failed, remedy.ErrNoDockerUser): // without Docker nothing is to be prevented
				err = errors.Join(err, failed)
			}
		}
	}
	return applied, err
}

// preventable lists the bridges that Docker would close and that lead outside.
func (d *Doctor) preventable() []string {
	names := slices.Clone(d.absent)
	for _, n := range d.networks {
		if n.Kind != networks.Docker && !n.Isolated && !n.Uplink && (n.Up || len(d.Bridges) > 0) {
			names = append(names, n.Bridge)
		}
	}
	return names
}
