package vm

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
)

// tapPrefix marks a tap as nestlab's.
const tapPrefix = "nl-"

// tap is a port of a bridge, for one guest.
type tap struct {
	name string
	// file is the guest's end. The tap is there as long as somebody has it open:
	// none survives its guest.
	file *os.File
}

// newTap makes a tap on a bridge. A tap of that name which no guest uses any more
// is removed first.
func newTap(name, bridge string) (*tap, error) {
	if !strings.HasPrefix(name, tapPrefix) {
		return nil, fmt.Errorf("make the tap %s: its name does not begin with %s", name, tapPrefix)
	}
	if err := sweepTap(name); err != nil {
		return nil, err
	}
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return nil, fmt.Errorf("find the bridge %s for the guest's tap: %w; is LXD's network there? `nestlab vm run --bridge NAME` takes another", bridge, err)
	}
	if master.Type() != "bridge" {
		return nil, fmt.Errorf("put a tap on %s: it is a %s, no bridge; `nestlab vm run --bridge NAME` takes another", bridge, master.Type())
	}
	link := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name, MTU: master.Attrs().MTU, MasterIndex: master.Attrs().Index},
		Mode:      netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
		NonPersist: true, Queues: 1,
	}
	if err := netlink.LinkAdd(link); err != nil {
		return nil, fmt.Errorf("make the tap %s on %s: %w; it needs root (sudo) and /dev/net/tun", name, bridge, err)
	}
	t := &tap{name: name, file: link.Fds[0]}
	if err := netlink.LinkSetMTU(link, master.Attrs().MTU); err != nil {
		return nil, errors.Join(fmt.Errorf("give the tap %s the bridge's MTU: %w", name, err), t.close())
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the tap %s up: %w", name, err), t.close())
	}
	return t, nil
}

// close gives this process's end up.
func (t *tap) close() error { return t.file.Close() }

// sweepTap removes what a killed run left. A tap with a carrier has a guest.
func sweepTap(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a tap %s that is left: %w", name, err)
	}
	if link.Type() != "tuntap" {
		return fmt.Errorf("there is a %s named %s, which is not nestlab's: rename or remove it", link.Type(), name)
	}
	if link.Attrs().OperState != netlink.OperDown {
		return fmt.Errorf("the tap %s is in use: another nestlab runs a guest of that name", name)
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove the tap %s that a killed run left: %w", name, err)
	}
	return nil
}
