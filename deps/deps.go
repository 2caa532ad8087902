//go:build deps

// Package deps keeps modules in go.mod until the code that imports them has landed.
package deps
import (
 _ "github.com/canonical/lxd/client"
 _ "github.com/cenkalti/backoff/v5"
 _ "github.com/coreos/go-iptables/iptables"
 _ "github.com/docker/docker/client"
 _ "github.com/docker/docker/pkg/stdcopy"
 _ "github.com/docker/docker/pkg/jsonmessage"
 _ "github.com/google/go-containerregistry/pkg/registry"
 _ "github.com/google/go-containerregistry/pkg/v1/remote"
 _ "github.com/google/go-containerregistry/pkg/v1/layout"
 _ "github.com/google/go-containerregistry/pkg/v1/tarball"
 _ "github.com/google/go-containerregistry/pkg/v1/mutate"
 _ "github.com/google/nftables"
 _ "github.com/mdlayher/packet"
 _ "github.com/miekg/dns"
 _ "github.com/moby/sys/capability"
 _ "github.com/moby/sys/mountinfo"
 _ "github.com/opencontainers/runtime-spec/specs-go"
 _ "github.com/santhosh-tekuri/jsonschema/v6"
 _ "github.com/spf13/cobra"
 _ "github.com/stretchr/testify/require"
 _ "github.com/vishvananda/netlink"
 _ "github.com/vishvananda/netns"
 _ "go.yaml.in/yaml/v3"
 _ "golang.org/x/net/icmp"
 _ "golang.org/x/sync/errgroup"
 _ "golang.org/x/sys/unix"
 _ "dagger.io/dagger/telemetry"
)
