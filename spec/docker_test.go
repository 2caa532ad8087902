package spec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
)

// Every bad value is told before anything is built, by its flag.
func TestDockerRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*spec.Docker){
		"unknown install method":           func(d *spec.Docker) { d.Method = "magic" },
		"unknown install phase":            func(d *spec.Docker) { d.Phase = "later" },
		"overlay2, vfs":                    func(d *spec.Docker) { d.StorageDriver = "aufs" },
		"--mtu 60":                         func(d *spec.Docker) { d.MTU = 60 },
		"--mtu 70000":                      func(d *spec.Docker) { d.MTU = 70000 },
		"--mtu -1":                         func(d *spec.Docker) { d.MTU = -1 },
		"10.1.0.0/16 is the network":       func(d *spec.Docker) { d.AddressPools = []string{"10.1.2.3/16"} },
		"/8 to /24":                        func(d *spec.Docker) { d.AddressPools = []string{"fd00::/64"} },
		`--address-pool "10.1.0.0"`:        func(d *spec.Docker) { d.AddressPools = []string{"10.1.0.0"} },
		"overlaps 10.0.0.0/8":              func(d *spec.Docker) { d.AddressPools = []string{"10.0.0.0/8", "10.1.0.0/16"} },
		"give a URL such as":               func(d *spec.Docker) { d.Mirrors = []string{"mirror.example:5000"} },
		"--registry-mirror of m has more":  func(d *spec.Docker) { d.Mirrors = []string{"https://m/v2"} },
		`--insecure-registry "http://r:5"`: func(d *spec.Docker) { d.Insecure = []string{"http://r:5"} },
		`--insecure-registry ""`:           func(d *spec.Docker) { d.Insecure = []string{""} },
		`--data-volume "../x"`:             func(d *spec.Docker) { d.Data = "../x" },
	} {
		d := spec.NewDocker()
		require.NoError(t, d.Validate())
		change(&d)
		require.ErrorContains(t, d.Validate(), want)
	}
	d := spec.NewDocker()
	d.Mirrors = []string{"https://user:s3cret@m"}
	require.ErrorContains(t, d.Validate(), "has a password")
	require.NotContains(t, d.Validate().Error(), "s3cret")
	d = full()
	require.NoError(t, d.Validate())
}

// full has every option set.
func full() spec.Docker {
	return spec.Docker{
		Origin: spec.Origin{Method: spec.Distro, Version: "1"}, Phase: spec.Runtime, StorageDriver: spec.VFS, MTU: 1400, TLS: true, Data: "ci-1",
		AddressPools: []string{"10.1.0.0/16", "10.2.3.0/24"}, Mirrors: []string{"http://m:5000/"},
		Insecure: []string{"r.example", "[::1]:5000", "10.0.0.0/8"},
	}
}

func TestWithoutProxy(t *testing.T) {
	t.Parallel()
	for has, want := range map[string]string{
		"": "docker", "a.example": "a.example,docker", "a,docker": "a,docker", "a, docker ": "a, docker ", "*": "*", "mydocker": "mydocker,docker",
	} {
		require.Equal(t, want, spec.WithoutProxy(has))
	}
}
