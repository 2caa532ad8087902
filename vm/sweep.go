package vm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/cenkalti/backoff/v5"
)

// Marker is the configuration key of instances and networks by which a later start
// knows what is nestlab's.
const Marker = "user.nestlab"

// imageMarker begins the file name that LXD keeps of nestlab's images. A property
// would be the place for it, but LXD 5.0.2 dies of properties that are given with an
// image whose own metadata has none.
const imageMarker = Marker + "."

// ownImage reports whether an image was imported by nestlab.
func ownImage(i api.Image) bool { return strings.HasPrefix(i.Filename, imageMarker) }

// namePrefix begins the names of nestlab's instances.
const namePrefix = "nestlab-"

// Leftover is something of nestlab's on an LXD, or of a QEMU guest on this machine.
type Leftover struct {
	// Kind is instance, image or network, or tap or directory; Name a fingerprint
	// for images.
	Kind, Name string

	// owner is the text of the run that it is of; empty where that is not known.
	owner  string
	remove func(ctx context.Context) error
}

func (l Leftover) String() string { return l.Kind + " " + l.Name }

// Leftovers lists what runs have made on an LXD that have ended, or, with every, any run,
// in the order in which it can be removed; the error names what is of others. What LXD is
// still at work on, for a run that was killed meanwhile, is waited for first.
func Leftovers(ctx context.Context, server Server, every bool) ([]Leftover, error) {
	err := settle(ctx, server, func(o api.Operation) bool {
		return onInstance(o, namePrefix) || strings.Contains(strings.ToLower(o.Description), "image")
	})
	if err != nil {
		return nil, err
	}
	var all []Leftover
	var errs []error
	for _, list := range []func(context.Context, Server) ([]Leftover, error){leftInstances, leftImages, leftNetworks} {
		some, err := list(ctx, server)
		if err != nil {
			return all, err
		}
		for _, l := range some {
			if used := Used(server, l.String(), l.owner, nil); used != nil && !every {
				errs = append(errs, used)
				continue
			}
			all = append(all, l)
		}
	}
	return all, errors.Join(errs...)
}

// Sweep removes what Leftovers lists, and says what it has removed.
func Sweep(ctx context.Context, server Server, every bool) (removed []Leftover, err error) {
	all, err := Leftovers(ctx, server, every)
	return sweep(ctx, all, err)
}

// sweep removes all of these; err is what went wrong while they were listed.
func sweep(ctx context.Context, all []Leftover, err error) (removed []Leftover, _ error) {
	errs := []error{err}
	for _, l := range all {
		if err := l.remove(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, l)
	}
	return removed, errors.Join(errs...)
}

func leftInstances(ctx context.Context, server Server) ([]Leftover, error) {
	found, err := Ask(ctx, func() ([]api.Instance, error) { return server.GetInstances(api.InstanceTypeAny) })
	if err != nil {
		return nil, fmt.Errorf("list the LXD instances: %w", err)
	}
	var all []Leftover
	for _, i := range found {
		if i.Config[Marker] != "" {
			all = append(all, Leftover{"instance", i.Name, i.Config[OwnerKey], func(ctx context.Context) error { return removeInstance(ctx, server, i) }})
		}
	}
	return all, nil
}

func leftImages(ctx context.Context, server Server) ([]Leftover, error) {
	found, err := Ask(ctx, server.GetImages)
	if err != nil {
		return nil, fmt.Errorf("list the LXD images: %w", err)
	}
	var all []Leftover
	for _, i := range found {
		if ownImage(i) {
			all = append(all, Leftover{"image", i.Fingerprint, imageOwner(i), func(ctx context.Context) error { return removeImage(ctx, server, i.Fingerprint) }})
		}
	}
	return all, nil
}

func leftNetworks(ctx context.Context, server Server) ([]Leftover, error) {
	found, err := Ask(ctx, server.GetNetworks)
	if err != nil {
		return nil, fmt.Errorf("list the LXD networks: %w", err)
	}
	var all []Leftover
	for _, n := range found {
		if n.Config[Marker] == "" {
			continue
		}
		all = append(all, Leftover{"network", n.Name, n.Config[OwnerKey], func(ctx context.Context) error {
			if err := Do(ctx, func() error { return server.DeleteNetwork(n.Name) }); err != nil {
				return fmt.Errorf("remove the LXD network %s: %w", n.Name, err)
			}
			return nil
		}})
	}
	return all, nil
}

// removeInstance stops an instance, whatever it is at, and deletes it. LXD may be
// at work on it of itself, when it has died, and refuses everything meanwhile.
func removeInstance(ctx context.Context, server Server, i api.Instance) error {
	if i.StatusCode != api.Stopped {
		err := unlessBusy(ctx, server, func() (lxd.Operation, error) {
			return server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "stop", Force: true, Timeout: 30}, "")
		})
		// It may have stopped by itself meanwhile; otherwise it cannot be deleted.
		if err != nil && !strings.Contains(err.Error(), "already stopped") && !api.StatusErrorCheck(err, http.StatusNotFound) {
			return fmt.Errorf("stop the LXD instance %s: %w", i.Name, err)
		}
	}
	err := unlessBusy(ctx, server, func() (lxd.Operation, error) { return server.DeleteInstance(i.Name) })
	if err != nil && !api.StatusErrorCheck(err, http.StatusNotFound) {
		return fmt.Errorf("remove the LXD instance %s: %w", i.Name, err)
	}
	return nil
}

// busyWithin is how long LXD may be busy with an instance of itself.
const busyWithin = time.Minute

// unlessBusy is operate, again and again while LXD refuses because it is busy.
func unlessBusy(ctx context.Context, server Server, order func() (lxd.Operation, error)) error {
	ctx, cancel := context.WithTimeout(ctx, busyWithin)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := operate(ctx, server, order)
		if err != nil && !strings.Contains(err.Error(), "is busy running") {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollEvery)), backoff.WithMaxElapsedTime(busyWithin))
	return err
}

func removeImage(ctx context.Context, server Server, fingerprint string) error {
	err := operate(ctx, server, func() (lxd.Operation, error) { return server.DeleteImage(fingerprint) })
	if err != nil && !api.StatusErrorCheck(err, http.StatusNotFound) {
		return fmt.Errorf("remove the LXD image %s: %w", fingerprint, err)
	}
	return nil
}

// onInstance reports whether LXD is at work on an instance whose name begins so.
func onInstance(o api.Operation, prefix string) bool {
	for _, url := range o.Resources["instances"] {
		path, _, _ := strings.Cut(url, "?")
		if strings.HasPrefix(path[strings.LastIndex(path, "/")+1:], prefix) {
			return true
		}
	}
	return false
}

// settle waits until LXD is at work on nothing of that kind any more: an instance
// that is still being made is in no list.
func settle(ctx context.Context, server Server, ours func(api.Operation) bool) error {
	var busy string
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		found, err := Ask(ctx, server.GetOperations)
		if err != nil {
			return fmt.Errorf("list what LXD is at work on: %w", err)
		}
		busy = ""
		for _, o := range found {
			if o.Class == "task" && !o.StatusCode.IsFinal() && ours(o) {
				busy = o.Description
			}
		}
		if busy == "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("LXD is still at work (%s): %w; `nestlab vm gc` removes what comes of it", busy, context.Cause(ctx))
		}
	}
}
