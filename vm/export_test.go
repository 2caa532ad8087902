package vm

// Networked, HasIPv6 and IPv6On are for tests.
var (
	Networked = networked
	HasIPv6   = hasIPv6
	IPv6On    = ipv6On
)
