package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/inroot"
)

// What is kept of dockerd's configuration.
const (
	maxConfig   = 1 << 20
	maxSettings = 64
	maxSetting  = 256
)

// settingKeys are the keys that decide about containers and their network, by the names of
// their flags. No others are kept: there may be secrets in them.
var settingKeys = map[string]string{
	"bip": "bip", "bridge": "bridge", "b": "bridge", "cgroup-parent": "cgroup-parent", "data-root": "data-root", "g": "data-root",
	"default-address-pool": "default-address-pools", "default-gateway": "default-gateway", "default-runtime": "default-runtime",
	"default-ulimit": "default-ulimits", "exec-opt": "exec-opts", "fixed-cidr": "fixed-cidr", "ip-forward": "ip-forward", "ip-masq": "ip-masq",
	"iptables": "iptables", "log-driver": "log-driver", "log-opt": "log-opts", "mtu": "mtu", "storage-driver": "storage-driver",
	"s": "storage-driver", "storage-opt": "storage-opts", "userns-remap": "userns-remap",
}

// logOptions are the ends of the names of log-opts that are kept.
var logOptions = []string{"-address", "-async", "-async-connect"}

// readSettings reads a configuration file of dockerd's, which has root before its path; none
// where it is not there.
func readSettings(root, path string) ([]model.DockerSetting, error) {
	text, err := inroot.Read(root, path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, inroot.ErrNotRegular) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseSettings(text, path)
}

// parseSettings reads a configuration. One that is no JSON dockerd refuses itself.
func parseSettings(text []byte, from string) ([]model.DockerSetting, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var all map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("decode %s: %w", from, err)
	}
	keys := slices.Collect(maps.Values(settingKeys))
	var found []model.DockerSetting
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(keys, key) {
			continue
		}
		for _, value := range valuesOf(all[key]) {
			found = addSetting(found, model.DockerSetting{Key: key, Value: value, From: from})
		}
	}
	return found, nil
}

// addSetting keeps a setting that is not too long, and no secret.
func addSetting(all []model.DockerSetting, s model.DockerSetting) []model.DockerSetting {
	name, _, _ := strings.Cut(s.Value, "=")
	if len(all) == maxSettings || s.Key == "log-opts" && !slices.ContainsFunc(logOptions, func(o string) bool { return strings.HasSuffix(name, o) }) {
		return all
	}
	s.Value = model.Clip(strings.ToValidUTF8(s.Value, "�"), maxSetting)
	return append(all, s)
}

// valuesOf are the values of a key: of a list one each, of an object KEY=VALUE.
func valuesOf(value any) []string {
	var all []string
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			all = append(all, textOf(v))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			all = append(all, key+"="+textOf(value[key]))
		}
	default:
		all = []string{textOf(value)}
	}
	return all
}

// textOf is a value as dockerd's flags have it; of a limit SOFT:HARD.
func textOf(value any) string {
	if limit, is := value.(map[string]any); is && limit["Soft"] != nil && limit["Hard"] != nil {
		return fmt.Sprintf("%v:%v", limit["Soft"], limit["Hard"])
	}
	switch value.(type) {
	case []any, map[string]any:
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return string(text)
	}
	return fmt.Sprint(value)
}

// parseFlags reads the flags of a dockerd: where its configuration file is, and settings.
func parseFlags(args []string) (config string, found []model.DockerSetting) {
	for i := 0; i < len(args); i++ {
		flag, is := strings.CutPrefix(args[i], "-")
		if !is {
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		switch {
		case given:
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "-"):
			value = args[i+1]
		default:
			value = "true"
		}
		if name == "config-file" {
			config = value
		}
		if key := settingKeys[name]; key != "" {
			found = addSetting(found, model.DockerSetting{Key: key, Value: value, From: model.FromFlags})
		}
	}
	return config, found
}
