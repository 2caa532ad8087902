package remedy

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// everyone may read and write.
const everyone = 0o666

func planKVM(_ context.Context, parameters map[string]string) ([]record, error) {
	path := parameters["device"]
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look for the device; without one the kernel or the machine does not virtualize, and no permission helps: %w", err)
	}
	if info.Mode()&fs.ModeCharDevice == 0 {
		return nil, fmt.Errorf("%s is no character device", path)
	}
	var steps []record
	nodev, _, err := forbidden(path)
	if err != nil {
		return nil, err
	}
	if nodev {
		steps = append(steps, record{Devices: &devicesOn{Path: path}})
	}
	if info.Mode().Perm() != everyone {
		steps = append(steps, record{Mode: &mode{Path: path, Before: info.Mode().Perm(), After: everyone}})
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("everyone may open %s already: %w", path, ErrNothing)
	}
	return steps, nil
}

func planCA(_ context.Context, parameters map[string]string) ([]record, error) {
	text, err := os.ReadFile(parameters["certificate"])
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	if err := authorities(text); err != nil {
		return nil, fmt.Errorf("%s: %w", parameters["certificate"], err)
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	own := filepath.Join(catalogue.CADirectory, parameters["name"]+".crt")
	// A link that leads nowhere is there too.
	if _, err := os.Lstat(own); err == nil {
		return nil, fmt.Errorf("%s is there already; give another name=", own)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for what has the name already: %w", err)
	}
	bundlePath, bundle, err := certificates()
	if err != nil {
		return nil, err
	}
	if _, missing := os.Stat(catalogue.CADirectory); missing != nil || bundle == nil {
		return nil, fmt.Errorf("this machine keeps its certificates elsewhere than in %s and %s; install the package ca-certificates", catalogue.CADirectory, catalogue.CABundle)
	}
	if bytes.Contains(bundle.Bytes, bytes.TrimSpace(text)) {
		return nil, fmt.Errorf("the certificate is trusted already: %w", ErrNothing)
	}
	return []record{
		write(own, nil, text),
		write(bundlePath, bundle, append(bytes.Clone(bundle.Bytes), text...)),
	}, nil
}

// certificates is the file of all that the machine trusts; nil where there is none.
func certificates() (path string, bundle *content, err error) {
	if path, err = behind(catalogue.CABundle); err == nil {
		bundle, err = readContent(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("read the certificates: %w", err)
	}
	return path, bundle, nil
}

// authorities checks that a PEM text holds certificates of authorities, and no keys.
func authorities(text []byte) error {
	found := 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("it holds a %s besides certificates; take that out", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("read a certificate: %w", err)
		}
		if !c.IsCA {
			return fmt.Errorf("the certificate of %q is not that of an authority", c.Subject)
		}
		found++
	}
	if found == 0 {
		return errors.New("it holds no certificate in PEM form")
	}
	return nil
}

// Where Debian and Ubuntu keep their alternatives.
const (
	alternatives      = "/etc/alternatives"
	alternativesState = "/var/lib/dpkg/alternatives"
)

// planAlternatives does what update-alternatives --set does for both families:
// the links and the note that the choice is no longer automatic.
func planAlternatives(_ context.Context, parameters map[string]string) ([]record, error) {
	backend := parameters["backend"]
	var steps []record
	links := 0
	for _, family := range []string{"iptables", "ip6tables"} {
		state, err := behind(filepath.Join(alternativesState, family))
		var before *content
		if err == nil {
			before, err = readContent(state)
		}
		if err != nil || before == nil {
			return nil, errors.Join(fmt.Errorf("look for the alternatives of %s in %s; is the package iptables installed, on Debian or Ubuntu?", family, alternativesState), err)
		}
		if text, automatic := bytes.CutPrefix(before.Bytes, []byte("auto\n")); automatic {
			steps = append(steps, write(state, before, append([]byte("manual\n"), text...)))
		}
		for _, suffix := range []string{"", "-save", "-restore"} {
			link := filepath.Join(alternatives, family+suffix)
			target := fmt.Sprintf("/usr/sbin/%s-%s%s", family, backend, suffix)
			to, err := os.Readlink(link)
			if err != nil {
				return nil, fmt.Errorf("look where %s leads: %w", family+suffix, err)
			}
			if _, err := os.Stat(target); err != nil {
				return nil, fmt.Errorf("look for the %s variant: %w", backend, err)
			}
			if to != target {
				links++
				steps = append(steps, record{Symlink: &symlink{Path: link, Before: to, After: target}})
			}
		}
	}
	if links == 0 {
		return nil, fmt.Errorf("iptables is the %s variant already: %w", backend, ErrNothing)
	}
	return steps, nil
}
