package spec

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/nestlab/nestlab/model"
)

// Setup is how Docker-in-Docker is set up and probed, for Dind and Compare alike.
type Setup struct {
	// Internet is what is probed, Platform what is expected to fail there.
	Internet Internet `json:"internet"`
	Platform Platform `json:"platform"`
	Origin
	// InnerImage is probed inside, the start of FirstImage is timed; empty for the
	// internet's own: Images gives them.
	InnerImage string `json:"inner_image,omitempty"`
	FirstImage string `json:"first_image,omitempty"`
	// Mirrors are URLs that stand in for Docker Hub.
	Mirrors []string `json:"registry_mirrors,omitempty"`
	// Retries is number of retries after a transient failure.
	Retries int `json:"retries"`
}

// NewSetup has the defaults.
func NewSetup() Setup {
	return Setup{Internet: Live, Platform: PlatformAuto, Origin: Origin{Method: Distro}}
}

func (s Setup) check() error {
	err := errors.Join(Check(s.Internet), Check(s.Platform), s.Origin.Validate(), checkRetries(s.Retries))
	if err != nil || s.Internet != Simulated {
		return err
	}
	for _, has := range []struct{ flag, value string }{{"--inner-image", s.InnerImage}, {"--first-image", s.FirstImage}} {
		if has.value != "" {
			err = errors.Join(err, fmt.Errorf("%s has no effect with --internet simulated, whose registry has an image of its own: leave it out", has.flag))
		}
	}
	if s.Platform != PlatformAuto && s.Platform != model.PlatformSimulated {
		err = errors.Join(err, fmt.Errorf("--platform %s has no effect with --internet simulated, which is a platform of its own: leave it out", s.Platform))
	}
	return err
}

// Images are those of the container that is probed inside, and of the first one.
func (s Setup) Images() (inner, first string) {
	if s.Internet == Simulated {
		return BaseImage, HelloImage
	}
	return cmp.Or(s.InnerImage, "debian:bookworm"), cmp.Or(s.FirstImage, "hello-world")
}

// On is the platform, that of the simulated internet where that is probed.
func (s Setup) On() string {
	if s.Internet == Simulated {
		return model.PlatformSimulated
	}
	return string(s.Platform)
}

func (s Setup) plan(c Command, phases ...Phase) model.Plan {
	return model.Plan{
		Command: string(c), Internet: string(s.Internet), Targets: string(s.Internet), Platform: s.On(),
		Items: items(Environments(c), s.Method, phases...),
	}
}

// Dind asks for Docker-in-Docker of one phase, and a container of its daemon.
type Dind struct {
	Setup
	Phase Phase `json:"phase"`
	// Sources are lines of sources.list that replace the configured ones; empty for the
	// internet's own: AptSources gives them.
	Sources []string `json:"sources,omitempty"`
	// MirrorTimeout bounds each wait for a mirror, Timeout the suite in one environment.
	MirrorTimeout time.Duration `json:"mirror_timeout"`
	Timeout       time.Duration `json:"timeout"`
}

// NewDind is a request with the defaults.
func NewDind() Dind {
	return Dind{Setup: NewSetup(), Phase: BuildTime, MirrorTimeout: 30 * time.Second, Timeout: 5 * time.Minute}
}

// Of is the run of a Docker that is handed out. It refuses what has no effect on a run.
func (d Dind) Of(r Docker) (Dind, error) {
	d.Origin, d.Phase, d.Mirrors = r.Origin, r.Phase, r.Mirrors
	var errs []error
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"--storage-driver", r.StorageDriver != ""}, {"--mtu", r.MTU != 0}, {"--address-pool", len(r.AddressPools) > 0},
		{"--insecure-registry", len(r.Insecure) > 0}, {"--tls", r.TLS}, {"--data-volume", r.Data != ""},
	} {
		if f.given {
			errs = append(errs, fmt.Errorf("%s has no effect on a run of %s, whose daemon is set up for the suite: leave it out", f.name, CommandDocker))
		}
	}
	return d, errors.Join(errs...)
}

// Command implements Request.
func (d Dind) Command() Command { return Command(d.Phase) }

// Validate implements Request.
func (d Dind) Validate() error {
	err := errors.Join(Check(d.Phase), d.Setup.check(), d.CheckSources(d.Sources))
	if d.Timeout <= 0 || d.MirrorTimeout <= 0 {
		err = errors.Join(err, errors.New("--timeout and --mirror-timeout must be more than 0"))
	}
	return err
}

// Plan implements Planned.
func (d Dind) Plan() (model.Plan, error) {
	if err := d.Validate(); err != nil {
		return model.Plan{}, err
	}
	return d.plan(d.Command(), d.Phase), nil
}

// AptSources are those that Docker is installed from; empty for the configured ones.
func (d Dind) AptSources() []string {
	if len(d.Sources) == 0 && d.Internet == Simulated && d.CheckSources([]string{AptSource}) == nil {
		return []string{AptSource}
	}
	return d.Sources
}

// Compare asks for a plain container and Docker-in-Docker of both phases.
type Compare struct{ Setup }

// NewCompare is a request with the defaults.
func NewCompare() Compare { return Compare{NewSetup()} }

// Command implements Request.
func (Compare) Command() Command { return CommandCompare }

// Validate implements Request.
func (c Compare) Validate() error { return c.check() }

// Plan implements Planned.
func (c Compare) Plan() (model.Plan, error) {
	if err := c.Validate(); err != nil {
		return model.Plan{}, err
	}
	return c.plan(CommandCompare, Phase("").Values()...), nil
}

// Dinds are the parts that are Docker-in-Docker.
func (c Compare) Dinds() []Dind {
	var all []Dind
	for _, phase := range Phase("").Values() {
		d := NewDind()
		d.Setup, d.Phase = c.Setup, phase
		all = append(all, d)
	}
	return all
}
