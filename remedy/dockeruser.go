package remedy

import (
	"context"
	"errors"
	"fmt"

	"github.com/coreos/go-iptables/iptables"
)

// DockerUserAccept lets one bridge's traffic through Docker's FORWARD chain, by
// the two rules in DOCKER-USER that Docker's own documentation gives.
const DockerUserAccept = "docker-user-accept"

const dockerUser = "DOCKER-USER"

// bridgeRules accept what comes from the bridge, and the answers to it.
func bridgeRules(bridge string) [][]string {
	return [][]string{
		{"-i", bridge, "-j", "ACCEPT"},
		{"-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"},
	}
}

func acceptBridge(_ context.Context, parameters map[string]string) error {
	bridge, tables, err := bridgeTables(parameters)
	if err != nil {
		return err
	}
	there, err := tables.ChainExists("filter", dockerUser)
	if err != nil {
		return fmt.Errorf("look for the chain %s: %w", dockerUser, err)
	}
	if !there {
		return fmt.Errorf("there is no chain %s: dockerd with the iptables backend makes it; is it running?", dockerUser)
	}
	for _, rule := range bridgeRules(bridge) {
		if err := tables.Insert("filter", dockerUser, 1, rule...); err != nil {
			return fmt.Errorf("insert %v into %s: %w", rule, dockerUser, err)
		}
	}
	return nil
}

func unacceptBridge(_ context.Context, parameters map[string]string) error {
	bridge, tables, err := bridgeTables(parameters)
	if err != nil {
		return err
	}
	there, err := tables.ChainExists("filter", dockerUser)
	if err != nil {
		return fmt.Errorf("look for the chain %s: %w", dockerUser, err)
	}
	if !there {
		return nil
	}
	var errs []error
	for _, rule := range bridgeRules(bridge) {
		if err := tables.DeleteIfExists("filter", dockerUser, rule...); err != nil {
			errs = append(errs, fmt.Errorf("delete %v from %s: %w", rule, dockerUser, err))
		}
	}
	return errors.Join(errs...)
}

func bridgeTables(parameters map[string]string) (string, *iptables.IPTables, error) {
	bridge := parameters["bridge"]
	// IFNAMSIZ is 16 with the closing zero; anything else is no interface's name.
	if bridge == "" || len(bridge) > 15 || bridge[0] == '-' {
		return "", nil, fmt.Errorf("%q is no bridge's name: give bridge=NAME", bridge)
	}
	tables, err := iptables.New(iptables.IPFamily(iptables.ProtocolIPv4), iptables.Timeout(10))
	if err != nil {
		return "", nil, fmt.Errorf("find iptables: %w", err)
	}
	return bridge, tables, nil
}
