package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
)

// HostRun asks for guests of a real host's LXD and QEMU, beside the host itself.
type HostRun struct {
	// Environments are patterns of names; none means all that Host has, or the host alone
	// where there are scenarios.
	Environments []string `json:"environments,omitempty"`
	Scenarios    []string `json:"scenarios,omitempty"`
	// Image is an alias, a fingerprint or a file; ImageServer the simplestreams server
	// that has it, empty where LXD does.
	Image       string `json:"image,omitempty"`
	ImageServer string `json:"image_server,omitempty"`
	// Project and Member are LXD's; empty for its own choice.
	Project string `json:"project,omitempty"`
	Member  string `json:"member,omitempty"`
	// Network and Pool are what LXD's instances use.
	Network string `json:"network"`
	Pool    string `json:"pool"`
	// Config are further keys, Devices keys of devices as NAME,KEY=VALUE,...
	Config  map[string]string `json:"config,omitempty"`
	Devices []string          `json:"devices,omitempty"`
	Family  Family            `json:"family"`
	// Bridge takes the tap of qemu-bridge.
	Bridge string `json:"bridge"`
	// Script is the URL of the scenario convenience-script, Free are addresses for those
	// on the uplink.
	Script string   `json:"script,omitempty"`
	Free   []string `json:"free_addresses,omitempty"`
	// Ready bounds the wait for a guest's commands, Start its start as a whole, Timeout
	// the suite in one environment.
	Ready   time.Duration `json:"ready"`
	Start   time.Duration `json:"start_timeout"`
	Timeout time.Duration `json:"timeout"`

	Platform Platform `json:"platform"`
	Retries  int      `json:"retries"`
	// Intervene allows the change of the host that proves a cause. Lock bounds the wait for
	// another run that changes the host, Change how long it stays changed for one test.
	Intervene bool          `json:"intervene"`
	Lock      time.Duration `json:"lock_timeout"`
	Change    time.Duration `json:"change_timeout"`
}

// DefaultChange is how long a host may stay changed for one test.
const DefaultChange = 15 * time.Minute

// NewHostRun is a request with the defaults.
func NewHostRun() HostRun {
	return HostRun{
		Network: "lxdbr0", Pool: "default", Family: FamilyAll, Bridge: "lxdbr0", Script: "https://get.docker.com/",
		Ready: 5 * time.Minute, Start: 15 * time.Minute, Timeout: 5 * time.Minute, Change: DefaultChange, Platform: PlatformAuto,
	}
}

// Host is what a request cannot say of the host that it is for.
type Host struct {
	// Elsewhere says why LXD's machine is not this one; empty where it is.
	Elsewhere string
	// Guests says that there is something for QEMU's guests to boot.
	Guests bool
}

// Command implements Request.
func (HostRun) Command() Command { return CommandVM }

// Validate implements Request. What depends on the host is checked by PlanOn.
func (h HostRun) Validate() error {
	_, err := h.DeviceKeys()
	err = errors.Join(err, Check(h.Family), Check(h.Platform), checkRetries(h.Retries), checkScenarios(h.Scenarios))
	if h.Ready <= 0 || h.Start <= 0 || h.Timeout <= 0 || h.Change <= 0 || h.Lock < 0 {
		err = errors.Join(err, errors.New("--ready, --start-timeout, --timeout and --change-timeout must be more than 0, and --lock-timeout 0 or more"))
	}
	for _, text := range h.Free {
		if _, failed := netip.ParsePrefix(text); failed != nil {
			err = errors.Join(err, fmt.Errorf("--free-address %s: %w", text, failed))
		}
	}
	_, failed := choose(CommandVM, Environments(CommandVM), h.Environments)
	return errors.Join(err, failed)
}

// DeviceKeys are the keys of Devices, by device.
func (h HostRun) DeviceKeys() (map[string]map[string]string, error) {
	keys, err := ParseDevices(h.Devices)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--device: %w", err)
	case keys["eth0"]["network"] != "":
		return nil, errors.New("--device eth0,network=...: name the network with --network")
	}
	return keys, nil
}

// Plan implements Planned, for a host with everything.
func (h HostRun) Plan() (model.Plan, error) { return h.PlanOn(Host{Guests: true}) }

// PlanOn resolves the request for a host.
func (h HostRun) PlanOn(host Host) (model.Plan, error) {
	if err := h.Validate(); err != nil {
		return model.Plan{}, err
	}
	kept, err := h.chosen(host)
	if err != nil {
		return model.Plan{}, err
	}
	p := model.Plan{
		Command: string(CommandVM), Internet: string(Live), Targets: string(Live), Platform: string(h.Platform), Intervene: h.Intervene,
		Items: items(kept, Distro),
	}
	h.suites(p.Items, host)
	more, err := h.scenarios(host, kept)
	if err != nil {
		return model.Plan{}, err
	}
	p.Items = append(p.Items, more...)
	return p, h.fits(p, host)
}

// suites gives the host its own: its Docker is nobody's to try things on here.
func (h HostRun) suites(all []model.PlanItem, host Host) {
	for i, item := range all {
		if item.Environment == model.EnvRunner {
			all[i].Suites = slices.DeleteFunc(slices.Clone(item.Suites), func(s string) bool { return s == model.SuiteDocker })
		}
	}
	if host.Guests {
		addSuites(all, Environments(CommandVM))
	}
}

// chosen are the rows of environments as they are. Where none is named, the host is one
// only where it is LXD's, and QEMU's guests where they can boot.
func (h HostRun) chosen(host Host) ([]Environment, error) {
	rows := Environments(CommandVM)
	if len(h.Environments) > 0 {
		return choose(CommandVM, rows, h.Environments)
	}
	return slices.DeleteFunc(rows, func(e Environment) bool {
		if e.Group == GroupHost {
			return host.Elsewhere != ""
		}
		return len(h.Scenarios) > 0 || !host.Guests && e.Group == GroupQEMU
	}), nil
}

// noGuests is the next step where there is nothing that QEMU's guests boot.
const noGuests = "give --guest DIR, which `dagger call guest export --path DIR` makes"

// scenarios are the rows of scenarios: in the guests that are named, or else in all.
func (h HostRun) scenarios(host Host, kept []Environment) ([]model.PlanItem, error) {
	chosen, err := scenario.Select(h.Scenarios)
	if err != nil {
		return nil, err
	}
	var all, named []string
	for _, e := range Environments(CommandVM) {
		if !e.Scenarios || e.Group == GroupQEMU && !host.Guests {
			continue
		}
		all = append(all, e.Name)
		if slices.Contains(names(kept), e.Name) {
			named = append(named, e.Name)
		}
	}
	if len(named) > 0 {
		all = named
	}
	rows := scenario.Items(chosen, all)
	for i, r := range rows {
		if e, _ := FindEnvironment(r.Environment); r.Skip != "" && e.Group == GroupQEMU && !host.Guests {
			rows[i].Skip += ": " + noGuests
		}
	}
	return rows, nil
}

// fits says what of the plan cannot be on this host, or has no effect.
func (h HostRun) fits(p model.Plan, host Host) error {
	runner := Runs(p, model.EnvRunner)
	switch elsewhere := host.Elsewhere; {
	case elsewhere != "" && h.Intervene:
		return fmt.Errorf("--intervene changes this machine, and %s: run it there, at LXD's own socket", elsewhere)
	case elsewhere != "" && runner:
		return fmt.Errorf("%s is this machine, and %s: leave it out of --environments, or run this there, at LXD's own socket", model.EnvRunner, elsewhere)
	case elsewhere != "" && host.Guests:
		return fmt.Errorf("--guest makes guests on this machine, and %s: leave it out, or run this there, at LXD's own socket", elsewhere)
	case h.Intervene && !runner:
		return errors.New("--intervene changes this machine, and needs runner among the environments")
	}
	if !host.Guests {
		for _, item := range p.Items {
			if e, _ := FindEnvironment(item.Environment); e.Group == GroupQEMU && item.Scenario == "" {
				return fmt.Errorf("--guest is missing: %s boots what is in a directory, which `dagger call guest export --path guest` makes", e.Name)
			}
		}
	}
	return h.fitsLXD(p)
}

// fitsLXD checks what is asked of LXD's instances, and that there are any.
func (h HostRun) fitsLXD(p model.Plan) error {
	lxd := UsesLXD(p)
	switch {
	case !lxd && (len(h.Devices) > 0 || h.Family != FamilyAll):
		return errors.New("--device and --family are for LXD's instances, and none is asked for")
	case lxd && strings.TrimSpace(h.Image) == "":
		return errors.New("--image is missing: name one that LXD has (lxc image list), or one of --image-server")
	}
	return nil
}

// UsesLXD reports whether a plan makes an instance of LXD's.
func UsesLXD(p model.Plan) bool {
	return slices.ContainsFunc(p.Items, func(i model.PlanItem) bool {
		e, _ := FindEnvironment(i.Environment)
		return i.Skip == "" && e.Group == GroupLXD
	})
}
