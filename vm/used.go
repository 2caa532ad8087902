package vm

import (
	"fmt"
	"strings"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/nestlab/nestlab/owner"
)

// OwnerKey is the configuration key of instances and networks with the run that has made
// them, as owner.Text has it. What carries none is of a run of an older nestlab, or was
// made by hand, and goes with the next sweep.
const OwnerKey = Marker + ".run"

// Used is why a run may not remove a thing of nestlab's on an LXD: it is of another one,
// which has not ended as far as can be seen. Mine is the run itself; nil is for none.
func Used(server Server, what, by string, mine *owner.Owner) error {
	if by == "" {
		return nil
	}
	o, err := owner.Parse(by)
	const all = "`nestlab vm gc --all` removes it"
	switch {
	case err != nil:
		return fmt.Errorf("%s stays: %w; %s", what, err, all)
	case mine != nil && o.Same(*mine) || o.Over(local(server)):
		return nil
	case o.Life() == owner.Lives:
		return fmt.Errorf("%s stays: it is of %s, which is at work: wait until it is done", what, o)
	}
	return fmt.Errorf("%s stays: it is of %s in another container or on another machine, and whether that has ended is not seen from here; it counts as ended after %s; %s", what, o, owner.Longest, all)
}

// local reports whether an LXD is reached by its socket, and so is this machine's.
func local(server Server) bool {
	s, ok := server.(interface {
		GetConnectionInfo() (*lxd.ConnectionInfo, error)
	})
	if !ok {
		return false
	}
	info, err := s.GetConnectionInfo()
	return err == nil && info.SocketPath != ""
}

// OwnConfig are the keys by which a thing is known as nestlab's, and as the run's.
func OwnConfig(place string, by *owner.Owner) map[string]string {
	config := map[string]string{Marker: place}
	if by != nil {
		config[OwnerKey] = by.Text()
	}
	return config
}

// imageName is the file name of an image, which alone says that it is nestlab's.
func imageName(name string, by *owner.Owner) string {
	if by != nil {
		name = by.Text() + "." + name
	}
	return imageMarker + name
}

// imageOwner is the text of the run that has put an image in; empty where it names none.
func imageOwner(i api.Image) string {
	by, _, _ := strings.Cut(strings.TrimPrefix(i.Filename, imageMarker), ".")
	if _, err := owner.Parse(by); err != nil {
		return ""
	}
	return by
}
