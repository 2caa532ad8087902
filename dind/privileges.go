package dind

import (
	"fmt"
	"strings"

	"github.com/moby/sys/capability"
)

// checkPrivileges fails where dockerd cannot work, before dockerd does so in the
// middle of its own start with words that only its authors know.
func checkPrivileges() error {
	self, err := capability.NewPid2(0)
	if err != nil {
		return fmt.Errorf("look at this process's capabilities: %w", err)
	}
	if err := self.Load(); err != nil {
		return fmt.Errorf("look at this process's capabilities: %w", err)
	}
	var missing []string
	for _, c := range []capability.Cap{capability.CAP_NET_ADMIN, capability.CAP_SYS_ADMIN} {
		if !self.Get(capability.EFFECTIVE, c) {
			missing = append(missing, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("start dockerd: this process lacks %s; start its container privileged "+
			"(docker run --privileged, or insecure root capabilities in Dagger)", strings.Join(missing, " and "))
	}
	return nil
}
