package diagnose

// The names of facts that evidence points at.
const (
	factForward      = "forward"
	factDocker       = "docker"
	factIPForward    = "ip_forward"
	factInterfaces   = "interfaces"
	factRoutes       = "routes"
	factResolvers    = "resolvers"
	factKVM          = "kvm"
	factDisks        = "disks"
	factLimits       = "limits"
	factSourceNAT    = "source_nat"
	factHosts        = "hosts"
	factLocalPorts   = "local_ports"
	factEngine       = "engine"
	factSubordinates = "no_subordinates"
)
