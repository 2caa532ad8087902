package vm

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// Bridge is the name of LXD's own bridge.
const Bridge = "lxdbr0"

// Daemon is an LXD of our own, for a runner that nobody else has prepared.
type Daemon struct {
	// Socket is LXD's, Dir holds the log.
	Socket, Dir string
	// Image is a unified image file, imported as alias Alias.
	Image, Alias string
	// VM is a virtual machine's image, imported as alias VMAlias; empty for none.
	VM      VMImage
	VMAlias string
	// Limit is how long it may take to answer; 0 is a minute.
	Limit time.Duration
	// Subnet is the bridge's own address with its prefix length.
	Subnet string
	// IPv6 gives the bridge IPv6 too: auto, as lxd init does, with addresses of its own that
	// are translated, or its own address with its prefix length, not translated. Empty
	// for none.
	IPv6 string

	cmd *exec.Cmd
}

// IPv6Auto has LXD choose the bridge's IPv6 network.
const IPv6Auto = "auto"

// VMImage is an image of an LXD virtual machine in its two files: a tar file with
// metadata.yaml, and a qcow2 disk.
type VMImage struct{ Metadata, Disk string }

// Start starts lxd and gives it a pool, a bridge and an image.
func (d *Daemon) Start(ctx context.Context) error {
	if _, err := exec.LookPath("lxd"); err != nil {
		return fmt.Errorf("start LXD: it is not installed here (Debian's package is lxd): %w", err)
	}
	server, err := d.run(ctx)
	if err != nil {
		return err
	}
	return d.prepare(ctx, server)
}

// Restart restarts lxd after it has died, with what it has already.
func (d *Daemon) Restart(ctx context.Context) error {
	if d.cmd != nil {
		d.cmd.Wait() // how it ended does not matter any more
	}
	_, err := d.run(ctx)
	return err
}

// run starts the process and waits until it answers.
func (d *Daemon) run(ctx context.Context) (Server, error) {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make LXD's log directory: %w", err)
	}
	path := filepath.Join(d.Dir, "lxd.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open LXD's log: %w", err)
	}
	defer log.Close()
	d.cmd = exec.Command("lxd", "--group", "lxd")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start lxd: %w", err)
	}
	server, err := Connect(ctx, d.Socket, cmp.Or(d.Limit, time.Minute))
	if err != nil {
		return nil, fmt.Errorf("%w; its log is %s", err, path)
	}
	return server, nil
}

func (d *Daemon) prepare(ctx context.Context, server Server) error {
	pools, err := Ask(ctx, server.GetStoragePoolNames)
	if err != nil {
		return fmt.Errorf("list LXD's storage pools: %w", err)
	}
	if !slices.Contains(pools, "default") {
		err := Do(ctx, func() error {
			return server.CreateStoragePool(api.StoragePoolsPost{Name: "default", Driver: "dir"})
		})
		if err != nil {
			return fmt.Errorf("make LXD's storage pool: %w", err)
		}
	}
	config := map[string]string{"ipv4.address": d.Subnet, "ipv4.nat": "true", "ipv6.address": "none"}
	if d.IPv6 != "" {
		config["ipv6.address"], config["ipv6.nat"] = d.IPv6, strconv.FormatBool(d.IPv6 == IPv6Auto)
	}
	err = Do(ctx, func() error {
		return server.CreateNetwork(api.NetworksPost{Name: Bridge, Type: "bridge", NetworkPut: api.NetworkPut{Config: config}})
	})
	if err != nil {
		return fmt.Errorf("make LXD's bridge %s: %w", Bridge, err)
	}
	return d.importImages(ctx, server)
}

func (d *Daemon) importImages(ctx context.Context, server Server) (err error) {
	file, err := os.Open(d.Image)
	if err != nil {
		return fmt.Errorf("open the LXD image: %w", err)
	}
	defer file.Close()
	err = importImage(ctx, server, d.Alias, &lxd.ImageCreateArgs{MetaFile: file, MetaName: filepath.Base(d.Image), Type: "container"})
	if err != nil || d.VM == (VMImage{}) {
		return err
	}
	metadata, err := os.Open(d.VM.Metadata)
	if err != nil {
		return fmt.Errorf("open the metadata of LXD's virtual machine image: %w", err)
	}
	defer metadata.Close()
	disk, err := os.Open(d.VM.Disk)
	if err != nil {
		return fmt.Errorf("open the disk of LXD's virtual machine image: %w", err)
	}
	defer disk.Close()
	return importImage(ctx, server, d.VMAlias, &lxd.ImageCreateArgs{
		MetaFile: metadata, MetaName: filepath.Base(d.VM.Metadata), RootfsFile: disk, RootfsName: filepath.Base(d.VM.Disk), Type: "virtual-machine",
	})
}

func importImage(ctx context.Context, server Server, alias string, args *lxd.ImageCreateArgs) error {
	op, err := Within(ctx, func() (lxd.Operation, error) {
		return server.CreateImage(api.ImagesPost{Filename: args.MetaName}, args)
	})
	var ended api.Operation
	if err == nil {
		ended, err = wait(ctx, server, op)
	}
	if err != nil {
		return fmt.Errorf("import the LXD image %s: %w", args.MetaName, err)
	}
	print, ok := ended.Metadata["fingerprint"].(string)
	if !ok {
		return fmt.Errorf("import the LXD image %s: LXD named no fingerprint", args.MetaName)
	}
	err = Do(ctx, func() error {
		return server.CreateImageAlias(api.ImageAliasesPost{ImageAliasesEntry: api.ImageAliasesEntry{Name: alias, Target: print}})
	})
	if err != nil {
		return fmt.Errorf("name the LXD image %s: %w", alias, err)
	}
	return nil
}

// Stop ends lxd and waits for it.
func (d *Daemon) Stop(ctx context.Context) error {
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end lxd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	select {
	case <-ended: // its exit code says nothing about a stop that was asked for
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lxd did not end: %w", ctx.Err())
	}
}
