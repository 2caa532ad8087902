package realize

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/vm"
)

// deafLXD takes some calls, and answers them when the test has ended.
type deafLXD struct {
	*fakeLXD
	to    string
	after <-chan struct{}
}

var errLate = errors.New("an answer that came too late")

func (d deafLXD) hear(call string) error {
	if call != d.to {
		return nil
	}
	<-d.after
	return errLate
}

func (d deafLXD) GetNetworks() ([]api.Network, error) {
	if err := d.hear("GetNetworks"); err != nil {
		return nil, err
	}
	return d.fakeLXD.GetNetworks()
}

func (d deafLXD) GetNetwork(name string) (*api.Network, string, error) {
	if err := d.hear("GetNetwork"); err != nil {
		return nil, "", err
	}
	return &api.Network{Name: name, Config: map[string]string{"ipv4.address": "10.77.3.1/24"}}, "", nil
}

func (d deafLXD) CreateNetwork(n api.NetworksPost) error {
	return errors.Join(d.hear("CreateNetwork"), d.fakeLXD.CreateNetwork(n))
}

func (d deafLXD) UpdateNetwork(string, api.NetworkPut, string) error { return d.hear("UpdateNetwork") }

func (d deafLXD) DeleteNetwork(name string) error {
	return errors.Join(d.hear("DeleteNetwork"), d.fakeLXD.DeleteNetwork(name))
}

// An LXD that hangs does not hold a scenario up: deadlines and interrupts end it.
func TestADeafLXD(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"GetNetworks", "CreateNetwork", "GetNetwork", "UpdateNetwork", "DeleteNetwork"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			f := &fakeLXD{networks: []api.Network{{Name: "nl-left", Config: map[string]string{vm.Marker: "killed"}}}}
			m := maker(f)
			m.Connect = func(context.Context) (vm.Server, error) { return deafLXD{f, call, t.Context().Done()}, nil }
			e := one(t, m, scenario.TunedDHCP, model.EnvLXDContainer)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("no time is left"))
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- e.Start(ctx, nil) }()
			require.ErrorContains(t, await.Receive(t, ended, "it waits for LXD for ever"), "LXD does not answer: no time is left")
		})
	}
}
