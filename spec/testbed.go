package spec

// Where images and containers have things: what builds them and what runs in them agree.
const (
	// BinaryPath is where the one binary stands in every container.
	BinaryPath = "/usr/local/bin/nestlab"
	// RecordPath is where an image keeps how Docker got into it.
	RecordPath = "/etc/nestlab/setup.json"
)

// What the simulated internet has for Docker and apt.
const (
	Registry   = "registry.lab.test"
	BaseImage  = Registry + "/library/debian:bookworm"
	HelloImage = Registry + "/library/hello:1"
	AptSource  = "deb [trusted=yes] http://archive.lab.test/debian bookworm main"
)
