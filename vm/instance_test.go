package vm_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// fakeLXD notes what it is asked for, and makes nothing. What a test does not
// expect to be called is nil, and panics.
type fakeLXD struct {
	vm.Server
	instances []api.Instance
	asked     api.InstancesPost
	removed   []string
}

var errFull = errors.New("no space left on device")

func (f *fakeLXD) GetInstances(api.InstanceType) ([]api.Instance, error) { return f.instances, nil }

func (f *fakeLXD) GetOperations() ([]api.Operation, error) { return nil, nil }

func (f *fakeLXD) CreateInstance(i api.InstancesPost) (lxd.Operation, error) {
	f.asked = i
	return nil, errFull
}

func (f *fakeLXD) DeleteInstance(name string) (lxd.Operation, error) {
	f.removed = append(f.removed, name)
	return done{}, nil
}

// done is an operation that succeeded.
type done struct{ lxd.Operation }

func (done) WaitContext(context.Context) error { return nil }
func (done) Get() (ended api.Operation)        { return }

func instance(f *fakeLXD) *vm.Instance {
	return &vm.Instance{
		At: model.Place{Environment: model.EnvLXDVM}, Name: "nestlab-lxd-vm", Image: "ubuntu/24.04",
		Network: "lxdbr0", Pool: "default", Ready: time.Minute,
		Connect: func(context.Context) (vm.Server, error) { return f, nil },
	}
}

func TestInstanceRequest(t *testing.T) {
	t.Parallel()
	f := &fakeLXD{}
	i := instance(f)
	i.VM, i.ImageServer, i.Config = true, "https://images.example", map[string]string{"limits.memory": "2GiB"}
	require.ErrorIs(t, i.Start(t.Context(), took(new([]timing))), errFull)
	require.Equal(t, api.InstanceTypeVM, f.asked.Type)
	require.Equal(t, api.InstanceSource{
		Type: "image", Mode: "pull", Server: "https://images.example", Protocol: "simplestreams", Alias: "ubuntu/24.04",
	}, f.asked.Source)
	require.Equal(t, map[string]string{
		"user.nestlab": "lxd-vm", "security.secureboot": "false", "limits.memory": "2GiB",
	}, f.asked.Config)
	require.NoError(t, i.Stop(t.Context()))

	for image, want := range map[string]api.InstanceSource{
		"nestlab":              {Type: "image", Alias: "nestlab"},
		"0123456789ab":         {Type: "image", Fingerprint: "0123456789ab"},
		"cafe":                 {Type: "image", Alias: "cafe"},
		"0123456789ab/default": {Type: "image", Alias: "0123456789ab/default"},
	} {
		f := &fakeLXD{}
		i := instance(f)
		i.Image = image
		require.ErrorContains(t, i.Start(t.Context(), took(new([]timing))), image)
		require.Equal(t, want, f.asked.Source, image)
		require.Equal(t, api.InstanceTypeContainer, f.asked.Type)
	}
}

// What a killed run left is removed first; an instance of somebody else's is not.
func TestInstanceLeft(t *testing.T) {
	t.Parallel()
	left := api.Instance{Name: "nestlab-lxd-vm", StatusCode: api.Stopped, Config: map[string]string{"user.nestlab": "lxd-vm"}}
	other := api.Instance{Name: "other", StatusCode: api.Stopped, Config: map[string]string{"user.nestlab": "lxd-vm"}}
	f := &fakeLXD{instances: []api.Instance{left, other}}
	require.ErrorIs(t, instance(f).Start(t.Context(), took(new([]timing))), errFull)
	require.Equal(t, []string{"nestlab-lxd-vm"}, f.removed)

	left.Config = nil
	f = &fakeLXD{instances: []api.Instance{left}}
	require.ErrorContains(t, instance(f).Start(t.Context(), took(new([]timing))), "is not nestlab's")
	require.Empty(t, f.removed)
}

func TestRemote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		remote vm.Remote
		says   string
	}{
		{"socket", vm.Remote{Address: "/run/lxd.socket"}, ""},
		{"https", vm.Remote{Address: "https://lxd:8443", ClientCert: "c", ClientKey: "k"}, ""},
		{"nothing", vm.Remote{}, "no LXD is named"},
		{"https without a key", vm.Remote{Address: "https://lxd:8443", ClientCert: "c"}, "wants a client certificate"},
		{"a socket with a key", vm.Remote{Address: "/run/lxd.socket", ClientKey: "k"}, "not for the socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.remote.Validate()
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := vm.Remote{Address: "https://lxd:8443", ClientCert: "/none", ClientKey: "/none"}.Connect(t.Context(), time.Second)
	require.ErrorContains(t, err, "read a certificate")
	begun := time.Now()
	_, err = vm.Remote{Address: t.TempDir() + "/none"}.Connect(t.Context(), time.Hour)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "name its socket with --lxd")
	require.Less(t, time.Since(begun), time.Minute, "what is not there was waited for")
	_, err = vm.Connect(t.Context(), t.TempDir()+"/none", 300*time.Millisecond)
	require.ErrorContains(t, err, "does it run, may this user use it")
	pem := filepath.Join(t.TempDir(), "client")
	require.NoError(t, os.WriteFile(pem, []byte("no certificate\n"), 0o600))
	_, err = vm.Remote{Address: "https://127.0.0.1:1", ClientCert: pem, ClientKey: pem}.Connect(t.Context(), time.Hour)
	require.ErrorContains(t, err, "give PEM files of a pair")
}

// A socket that takes connections and never answers does not hold the run up.
func TestRemoteDeaf(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "lxd.socket")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer l.Close()
	_, err = vm.Remote{Address: socket}.Connect(t.Context(), 500*time.Millisecond)
	require.ErrorContains(t, err, "does it run, may this user use it")
}
