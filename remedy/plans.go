package remedy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// plan looks at the host, checks what a remedy needs and says by which steps it
// is applied. It changes nothing.
type plan func(ctx context.Context, parameters map[string]string) ([]record, error)

// plans has one for each remedy that is not done by hand.
func plans() map[string]plan {
	return map[string]plan{
		catalogue.DockerUserAccept:      planDockerUser,
		catalogue.FirewallForwardAccept: planFirewall,
		catalogue.ForwardAccept:         planForwardAccept,
		catalogue.IPForwardOn:           planIPForward,
		catalogue.BridgeNetfilterOff:    planBridgeNetfilter,
		catalogue.NATOn:                 planNAT,
		catalogue.IPv4Only:              planIPv4Only,
		catalogue.MTUMatch:              planMTU,
		catalogue.DNSForwarder:          planDNS,
		catalogue.ProxyOnBridge:         planProxy,
		catalogue.IPForwardNoDrop:       planNoDrop,
		catalogue.DockerMTU:             planDockerMTU,
		catalogue.NetworkMTU:            planNetworkMTU,
		catalogue.StorageDriver:         planStorageDriver,
		catalogue.RegistryMirror:        planRegistryMirror,
		catalogue.IPTablesBackend:       planAlternatives,
		catalogue.KVMPermission:         planKVM,
		catalogue.DHCPAccept:            planDHCPAccept,
		catalogue.BridgeSubnet:          planBridgeSubnet,
		catalogue.DataRoot:              planDataRoot,
		catalogue.CAInstall:             planCA,
		catalogue.AcceptBefore:          planAcceptBefore,
		catalogue.InterfaceForwardingOn: planInterfaceForwarding,
		catalogue.RPFilterLoose:         planRPFilter,
		catalogue.RouteByMain:           planRouteByMain,
		catalogue.ConntrackMax:          planConntrack,
		catalogue.ConntrackTimeout:      planConntrackTimeout,
		catalogue.ARPOn:                 planARP,
		catalogue.ARPAnswer:             planARPAnswer,
		catalogue.NeighbourAsk:          planNeighbour,
		catalogue.RouteToBridge:         planHostRoute,
		catalogue.BridgeAddress:         planBridgeAddress,
	}
}

func settingPath(name string) string { return strings.ReplaceAll(name, ".", "/") }

// planIPForward remembers what the kernel changes along with ip_forward:
// forwarding of every interface, and whether redirects are taken (inet_forward_change).
func planIPForward(_ context.Context, parameters map[string]string) ([]record, error) {
	on, err := change(settingPath(catalogue.ForwardingSetting(parameters["family"])), "1")
	if err != nil {
		return nil, err
	}
	if on.Setting.Before == "1" {
		return nil, fmt.Errorf("forwarding is on already: %w", ErrNothing)
	}
	along := []string{"net/ipv4/conf/*/forwarding", "net/ipv4/conf/all/accept_redirects"}
	if parameters["family"] == catalogue.V6 {
		along = []string{"net/ipv6/conf/*/forwarding"}
	}
	steps, err := remember(along...)
	if err != nil {
		return nil, err
	}
	return append(steps, on), nil
}

func planBridgeNetfilter(context.Context, map[string]string) ([]record, error) {
	var steps []record
	for _, name := range catalogue.BridgeNetfilterSettings() {
		off, err := change(settingPath(name), "0")
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("br_netfilter is not loaded, and bridged frames do not meet iptables: %w (%w)", ErrNothing, err)
		}
		if err != nil {
			return nil, err
		}
		if off.Setting.Before != "0" {
			steps = append(steps, off)
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("bridged frames do not meet iptables already: %w", ErrNothing)
	}
	return steps, nil
}
