package remedy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"
)

// SetKey changes one key of a JSON object and keeps the others, known or not, in
// their order and with their values as they are. Empty text is an empty object.
func SetKey(text []byte, key string, value any) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	members, order, err := object(text)
	if err != nil {
		return nil, err
	}
	if _, has := members[key]; !has {
		order = append(order, key)
	}
	if members[key], err = json.Marshal(value); err != nil {
		return nil, fmt.Errorf("encode %s: %w", key, err)
	}
	var out bytes.Buffer
	out.WriteByte('{')
	for i, k := range order {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(k)
		if err != nil {
			return nil, fmt.Errorf("encode the key %q: %w", k, err)
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(members[k])
	}
	out.WriteByte('}')
	var shown bytes.Buffer
	if err := json.Indent(&shown, out.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("indent: %w", err)
	}
	shown.WriteByte('\n')
	return shown.Bytes(), nil
}

// object reads the members of a JSON object and their order.
func object(text []byte) (map[string]json.RawMessage, []string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.Join(errors.New("it holds no JSON object"), err)
	}
	members, order := map[string]json.RawMessage{}, []string{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("read a key: %w", err)
		}
		key, _ := t.(string) // only strings can be here
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, nil, fmt.Errorf("read the value of %s: %w", key, err)
		}
		if _, twice := members[key]; !twice {
			order = append(order, key)
		}
		members[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("read the end: %w", err)
	}
	if d.More() {
		return nil, nil, errors.New("there is more after the JSON object")
	}
	return members, order, nil
}

// planKey plans one key of dockerd's configuration; value makes it from what is there.
func planKey(path, key string, value func(old json.RawMessage) (any, error)) ([]record, error) {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("look for the directory of dockerd's configuration; make it with mkdir: %w", err)
	}
	path, err := behind(path)
	if err != nil {
		return nil, fmt.Errorf("find dockerd's configuration: %w", err)
	}
	before, err := readContent(path)
	if err != nil {
		return nil, fmt.Errorf("read dockerd's configuration: %w", err)
	}
	var text []byte
	if before != nil {
		text = before.Bytes
	}
	var old json.RawMessage
	if len(bytes.TrimSpace(text)) > 0 {
		members, _, err := object(text)
		if err != nil {
			return nil, fmt.Errorf("read dockerd's configuration %s; repair it first: %w", path, err)
		}
		old = members[key]
	}
	wanted, err := value(old)
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", key, path, err)
	}
	after, err := SetKey(text, key, wanted)
	if err != nil {
		return nil, fmt.Errorf("change %s: %w", path, err)
	}
	return []record{write(path, before, after)}, nil
}

// to is a value that does not depend on the old one, but differs from it.
func to(value any) func(json.RawMessage) (any, error) {
	return func(old json.RawMessage) (any, error) {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(text, old) {
			return nil, fmt.Errorf("it is %s already: %w", text, ErrNothing)
		}
		return value, nil
	}
}

func planDockerMTU(_ context.Context, parameters map[string]string) ([]record, error) {
	mtu, err := strconv.Atoi(parameters["mtu"])
	if err != nil {
		return nil, fmt.Errorf("read the MTU: %w", err)
	}
	return planKey(parameters["file"], "mtu", to(mtu))
}

// networkOptsSince is the first release of Docker that knows default-network-opts.
const networkOptsSince = 24

func planNetworkMTU(ctx context.Context, parameters map[string]string) ([]record, error) {
	if err := sinceDocker(ctx, networkOptsSince, "default-network-opts", "make each network with docker network create -o com.docker.network.driver.mtu="+parameters["mtu"]); err != nil {
		return nil, err
	}
	return planKey(parameters["file"], "default-network-opts", func(old json.RawMessage) (any, error) {
		drivers := map[string]map[string]string{}
		if old != nil {
			if err := json.Unmarshal(old, &drivers); err != nil {
				return nil, fmt.Errorf("it holds no options by driver: %w", err)
			}
		}
		if drivers["bridge"] == nil {
			drivers["bridge"] = map[string]string{}
		}
		const option = "com.docker.network.driver.mtu"
		if drivers["bridge"][option] == parameters["mtu"] {
			return nil, fmt.Errorf("%s of bridge is %s already: %w", option, parameters["mtu"], ErrNothing)
		}
		drivers["bridge"][option] = parameters["mtu"]
		return drivers, nil
	})
}

func planStorageDriver(_ context.Context, parameters map[string]string) ([]record, error) {
	return planKey(parameters["file"], "storage-driver", to(parameters["driver"]))
}

// planDataRoot wants room there: dockerd would only be full again.
func planDataRoot(_ context.Context, parameters map[string]string) ([]record, error) {
	const enough = 256 << 20
	path := parameters["path"]
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil {
		return nil, fmt.Errorf("look at the file system of %s: %w", path, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < enough {
		return nil, fmt.Errorf("the file system of %s has %d MB left; name a directory with more room with path=", path, free>>20)
	}
	return planKey(parameters["file"], "data-root", to(path))
}

func planRegistryMirror(_ context.Context, parameters map[string]string) ([]record, error) {
	return planKey(parameters["file"], "registry-mirrors", func(old json.RawMessage) (any, error) {
		var mirrors []string
		if old != nil {
			if err := json.Unmarshal(old, &mirrors); err != nil {
				return nil, fmt.Errorf("it is no list of addresses: %w", err)
			}
		}
		for _, m := range mirrors {
			if m == parameters["url"] {
				return nil, fmt.Errorf("the mirror is there already: %w", ErrNothing)
			}
		}
		return append([]string{parameters["url"]}, mirrors...), nil
	})
}

// noDropSince is the first release of Docker that knows ip-forward-no-drop.
const noDropSince = 28

func planNoDrop(ctx context.Context, parameters map[string]string) ([]record, error) {
	if err := sinceDocker(ctx, noDropSince, "ip-forward-no-drop", "use docker-user-accept or forward-accept"); err != nil {
		return nil, err
	}
	return planKey(parameters["file"], "ip-forward-no-drop", to(true))
}

// sinceDocker refuses a key that the daemon is too old for.
func sinceDocker(ctx context.Context, first int, key, instead string) error {
	version, err := dockerVersion(ctx)
	if err != nil {
		return err
	}
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < first {
		return fmt.Errorf("this is Docker %s, which does not know %s and would not start with it, %d.0 is the first that does: %s", version, key, first, instead)
	}
	return nil
}

func dockerVersion(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return "", fmt.Errorf("make a Docker client; check DOCKER_HOST: %w", err)
	}
	defer func() { err = errors.Join(err, cli.Close()) }()
	v, err := cli.ServerVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the Docker daemon for its version; is it running? %w", err)
	}
	return v.Version, nil
}
