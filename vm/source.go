package vm

import (
	"strings"

	"github.com/canonical/lxd/shared/api"
)

// source is where an instance's image comes from: a fingerprint, an alias of the
// server's own, or an alias of a simplestreams server.
func (i *Instance) source(image string) api.InstanceSource {
	s := api.InstanceSource{Type: "image"}
	switch {
	case ImageFile(i.Image):
		s.Fingerprint = image // of what was put in
	case i.ImageServer != "":
		s.Mode, s.Server, s.Protocol, s.Alias = "pull", i.ImageServer, "simplestreams", image
	case fingerprint(image):
		s.Fingerprint = image
	default:
		s.Alias = image
	}
	return s
}

// fingerprint reports whether a name is one, or the beginning of one: LXD takes
// twelve digits and more for unique.
func fingerprint(name string) bool {
	return len(name) >= 12 && len(name) <= 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// request is the instance as LXD is asked for it.
func (i *Instance) request(image string) api.InstancesPost {
	config := OwnConfig(i.At.Key(), i.Owner)
	kind := api.InstanceTypeContainer
	if i.VM {
		kind = api.InstanceTypeVM
		// Images without a signed boot loader are common, Debian's own among them.
		config["security.secureboot"] = "false"
	}
	for key, value := range i.Config {
		config[key] = value
	}
	return api.InstancesPost{
		Name: i.Name, Type: kind, Source: i.source(image),
		InstancePut: api.InstancePut{
			Config:   config,
			Profiles: []string{},
			Devices:  i.devices(),
		},
	}
}
