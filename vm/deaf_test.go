package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// deafLXD takes some calls, and answers them when the test has ended.
type deafLXD struct {
	Server
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

func (d deafLXD) GetStoragePoolNames() ([]string, error)       { return nil, d.hear("GetStoragePoolNames") }
func (d deafLXD) CreateStoragePool(api.StoragePoolsPost) error { return d.hear("CreateStoragePool") }
func (d deafLXD) CreateNetwork(api.NetworksPost) error         { return d.hear("CreateNetwork") }
func (d deafLXD) CreateImageAlias(api.ImageAliasesPost) error  { return d.hear("CreateImageAlias") }
func (d deafLXD) CreateImage(api.ImagesPost, *lxd.ImageCreateArgs) (lxd.Operation, error) {
	return imported{}, d.hear("CreateImage")
}

func (d deafLXD) CreateInstanceFile(string, string, lxd.InstanceFileArgs) error {
	return d.hear("CreateInstanceFile")
}

// imported is the operation of an image that was put in.
type imported struct{ lxd.Operation }

func (imported) WaitContext(context.Context) error { return nil }
func (imported) Get() api.Operation {
	return api.Operation{Metadata: map[string]any{"fingerprint": "0123456789ab"}}
}

// An LXD that hangs holds nothing up: deadlines and interrupts end every call.
func TestADeafLXD(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "image.tar.xz")
	require.NoError(t, os.WriteFile(image, nil, 0o644))
	prepare := func(ctx context.Context, server Server) error {
		return (&Daemon{Image: image, Alias: "nestlab"}).prepare(ctx, server)
	}
	for call, do := range map[string]func(context.Context, Server) error{
		"GetStoragePoolNames": prepare, "CreateStoragePool": prepare, "CreateNetwork": prepare, "CreateImage": prepare,
		"CreateImageAlias": prepare,
		"CreateInstanceFile": func(ctx context.Context, server Server) error {
			return (&Instance{Name: "nestlab-x", server: server}).MakeDirectory(ctx, "/var/cache/nestlab")
		},
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("no time is left"))
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- do(ctx, deafLXD{to: call, after: t.Context().Done()}) }()
			require.ErrorContains(t, await.Receive(t, ended, "it waits for LXD for ever"), "LXD does not answer: no time is left")
		})
	}
}

// lossyLXD loses the first question, as a connection does that breaks unnoticed.
type lossyLXD struct {
	deafLXD
	asked chan struct{}
}

func (l lossyLXD) GetImages() ([]api.Image, error) {
	select {
	case l.asked <- struct{}{}:
		return nil, l.hear(l.to)
	default:
		return []api.Image{{Fingerprint: "0123456789ab", Filename: imageMarker + "x"}}, nil
	}
}

// A question that was lost is asked again: on an LXD that does answer, nothing of it
// is seen.
func TestALostQuestionIsAskedAgain(t *testing.T) {
	before := askAgain
	askAgain = 20 * time.Millisecond
	t.Cleanup(func() { askAgain = before })
	left, err := leftImages(await.Context(t), lossyLXD{deafLXD{to: "GetImages", after: t.Context().Done()}, make(chan struct{}, 1)})
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "0123456789ab", left[0].Name)
}

// lateLXD takes longer for an answer than it takes until the question is asked again.
type lateLXD struct{ deafLXD }

func (lateLXD) GetImages() ([]api.Image, error) {
	time.Sleep(200 * time.Millisecond)
	return []api.Image{{Fingerprint: "0123456789ab", Filename: imageMarker + "x"}}, nil
}

// An answer that comes after the question was asked again is an answer all the same.
func TestASlowAnswerIsNotLost(t *testing.T) {
	before := askAgain
	askAgain = 20 * time.Millisecond
	t.Cleanup(func() { askAgain = before })
	left, err := leftImages(await.Context(t), lateLXD{})
	require.NoError(t, err)
	require.Len(t, left, 1)
}
