package spec_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
)

const (
	aSum         = "3c57f04f48b07c893dc98e6e3a29a666e9674acec7c36b8b758167407a08d2b1"
	aFingerprint = "DF3DA5B75F0B95457E2EC7B9A2AB3983F2B3FDDC"
)

// origins are one of each method, with everything that the method takes.
func origins() map[spec.Method]spec.Origin {
	return map[spec.Method]spec.Origin{
		spec.Distro: {Method: spec.Distro, Version: "20.10.24+dfsg1-1+deb12u1+b6"},
		spec.DockerCE: {
			Method: spec.DockerCE, Version: "5:28.5.2-1~debian.12~bookworm", DownloadURL: "http://m.example/docker/", Key: "https://m.example/key", Fingerprint: aFingerprint,
		},
		spec.Script: {Method: spec.Script, Version: "28.5.2", DownloadURL: "http://m.example", Script: "https://get.example/", Checksum: aSum},
		spec.Static: {Method: spec.Static, Version: "28.5.2", DownloadURL: "http://m.example", Checksum: strings.ToUpper(aSum)},
		spec.Cached: {Method: spec.Cached, Packages: "/debs"},
	}
}

// Every field acts with a method, or is refused with it.
func TestOrigins(t *testing.T) {
	t.Parallel()
	for _, m := range spec.Method("").Values() {
		o := origins()[m]
		require.NoError(t, o.Validate(), m)
		args := strings.Join(o.Args(), " ")
		for other, has := range origins() {
			for _, flag := range []struct {
				name string
				of   func(*spec.Origin) *string
			}{
				{"--docker-version", func(o *spec.Origin) *string { return &o.Version }},
				{"--download-url", func(o *spec.Origin) *string { return &o.DownloadURL }},
				{"--key", func(o *spec.Origin) *string { return &o.Key }},
				{"--fingerprint", func(o *spec.Origin) *string { return &o.Fingerprint }},
				{"--script", func(o *spec.Origin) *string { return &o.Script }},
				{"--checksum", func(o *spec.Origin) *string { return &o.Checksum }},
				{"--packages", func(o *spec.Origin) *string { return &o.Packages }},
			} {
				mine, theirs := *flag.of(&o), *flag.of(&has)
				if mine != "" {
					require.Contains(t, args, flag.name+" "+mine)
				}
				if mine == "" && theirs != "" {
					given := o
					*flag.of(&given) = theirs
					require.ErrorContains(t, given.Validate(), flag.name+" has no effect with the install method "+string(m), other)
				}
			}
		}
	}
}

func TestOriginRefuses(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]spec.Origin{
		`unknown install method "magic": use one of distro, docker-ce, script, static, cached`: {Method: "magic"},
		"--checksum is missing for the install method script":                                  {Method: spec.Script},
		"--checksum is missing for the install method static":                                  {Method: spec.Static, Version: "28.5.2"},
		"--docker-version is missing for the install method static":                            {Method: spec.Static, Checksum: aSum},
		"--packages is missing for the install method cached":                                  {Method: spec.Cached},
		`--checksum: "abc" is no SHA-256`:                                                      {Method: spec.Script, Checksum: "abc"},
		`--fingerprint: "9DC8 5822" is no fingerprint`:                                         {Method: spec.DockerCE, Fingerprint: "9DC8 5822"},
		`--docker-version: "-o x" is no version`:                                               {Method: spec.Distro, Version: "-o x"},
		`--docker-version: "1/../2" is no version`:                                             {Method: spec.Distro, Version: "1/../2"},
		"--download-url: give a URL such as":                                                   {Method: spec.DockerCE, DownloadURL: "file:///etc"},
		"--download-url: that of m has more than":                                              {Method: spec.DockerCE, DownloadURL: "http://m/a b"},
		"--key: that of m has more than":                                                       {Method: spec.DockerCE, Key: "http://m/?a=b"},
	} {
		require.ErrorContains(t, o.Validate(), want)
	}
	secret := spec.Origin{Method: spec.DockerCE, DownloadURL: "https://user:s3cret@m"}.Validate()
	require.ErrorContains(t, secret, "has a password")
	require.NotContains(t, secret.Error(), "s3cret")
	require.ErrorContains(t, origins()[spec.Cached].CheckSources([]string{"deb x"}), "--source has no effect")
	require.NoError(t, origins()[spec.DockerCE].CheckSources([]string{"deb x"}))
}

// A run of what is handed out has its way to install, and refuses what has no effect on it.
func TestDindOfDocker(t *testing.T) {
	t.Parallel()
	r := spec.NewDocker()
	r.Origin, r.Phase, r.Mirrors = origins()[spec.Static], spec.Runtime, []string{"http://m:5000"}
	d, err := spec.NewDind().Of(r)
	require.NoError(t, err)
	require.Equal(t, r.Origin, d.Origin)
	plan, err := d.Plan()
	require.NoError(t, err)
	require.Equal(t, "static/runtime", plan.Items[0].Place.Setup)
	for want, change := range map[string]func(*spec.Docker){
		"--storage-driver":    func(d *spec.Docker) { d.StorageDriver = spec.VFS },
		"--mtu":               func(d *spec.Docker) { d.MTU = 1400 },
		"--address-pool":      func(d *spec.Docker) { d.AddressPools = []string{"10.1.0.0/16"} },
		"--insecure-registry": func(d *spec.Docker) { d.Insecure = []string{"r.example"} },
		"--tls":               func(d *spec.Docker) { d.TLS = true },
		"--data-volume":       func(d *spec.Docker) { d.Data = "x" },
	} {
		changed := r
		change(&changed)
		_, err := spec.NewDind().Of(changed)
		require.ErrorContains(t, err, want+" has no effect on a run")
	}
}
