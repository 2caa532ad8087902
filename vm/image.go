package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// ImageFile reports whether an image's name is the path of a file: aliases may
// have slashes in them, but do not begin with one or with a dot.
func ImageFile(name string) bool {
	return filepath.IsAbs(name) || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// load imports the instance's image where it is a file, and gives its fingerprint.
// An image that LXD has already is used as it is, and stays.
func (i *Instance) load(ctx context.Context) (string, error) {
	files, err := open(ctx, i.Image, i.Rootfs)
	if err != nil {
		return "", err
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	print, err := fingerprintOf(files)
	if err != nil {
		return "", err
	}
	if i.Imports == nil {
		i.Imports = new(Imports)
	}
	image := i.Imports.of(print)
	end, err := image.take(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	found, err := i.find(ctx, image)
	if err != nil {
		return "", err
	}
	if !found {
		err = i.put(ctx, image, files)
	}
	return print, err
}

// find looks whether LXD has the image, which this instance uses then.
func (i *Instance) find(ctx context.Context, image *fileImage) (bool, error) {
	images, err := Ask(ctx, i.server.GetImages)
	if err != nil {
		return false, fmt.Errorf("list the LXD images: %w", err)
	}
	for _, found := range images {
		if found.Fingerprint == image.fingerprint {
			image.ours = ownImage(found) && Used(i.server, "the image", imageOwner(found), i.Owner) == nil
			i.use(image)
			return true, nil
		}
	}
	return false, nil
}

func (i *Instance) use(image *fileImage) {
	if i.image == nil {
		i.image = image
		image.users++
	}
}

// put imports the image.
func (i *Instance) put(ctx context.Context, image *fileImage, files []file) error {
	name := imageName(i.At.Environment+"."+filepath.Base(i.Image), i.Owner)
	args := &lxd.ImageCreateArgs{MetaFile: files[0], MetaName: name, Type: "container"}
	if i.VM {
		args.Type = "virtual-machine"
	}
	if len(files) > 1 {
		args.RootfsFile, args.RootfsName = files[1], name
	}
	// Before the request: an interrupted one may leave an image.
	image.ours = true
	i.use(image)
	err := i.upload(ctx, api.ImagesPost{Filename: name}, args)
	if err != nil && strings.Contains(err.Error(), "same fingerprint already exists") {
		// Somebody else's import, by another program, was quicker.
		if found, failed := i.find(ctx, image); found || failed != nil {
			return failed
		}
	}
	if err != nil {
		return fmt.Errorf("import the LXD image %s: %w", i.Image, advise(err, i))
	}
	return nil
}

// unload removes the image again, whoever is still putting it in, unless another
// instance uses it.
func (i *Instance) unload(ctx context.Context) error {
	end, err := i.image.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	if i.image.users--; i.image.users > 0 || !i.image.ours {
		return nil
	}
	err = settle(ctx, i.server, func(o api.Operation) bool { return strings.Contains(strings.ToLower(o.Description), "image") })
	if err != nil {
		return fmt.Errorf("remove the LXD image %s: %w", i.image.fingerprint, err)
	}
	return removeImage(ctx, i.server, i.image.fingerprint)
}

// upload is not bound by the time that an order may take: a file may be large. An
// interrupt ends the reading of it, and then LXD soon answers.
func (i *Instance) upload(ctx context.Context, post api.ImagesPost, args *lxd.ImageCreateArgs) error {
	taken, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(answerWithin, func() { cancel(context.Cause(ctx)) })
	})()
	op, err := Within(taken, func() (lxd.Operation, error) { return i.server.CreateImage(post, args) })
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	_, err = wait(ctx, i.server, op)
	return err
}

// file is an image's file that cannot be read any more once its context has ended.
type file struct {
	ctx context.Context
	*os.File
}

func (f file) Read(b []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	return f.File.Read(b)
}

// open opens the files of an image: one, or its metadata and its root.
func open(ctx context.Context, paths ...string) ([]file, error) {
	var files []file
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			for _, f := range files {
				err = errors.Join(err, f.Close())
			}
			return nil, fmt.Errorf("open the LXD image: %w", err)
		}
		files = append(files, file{ctx, f})
	}
	return files, nil
}

// fingerprintOf is LXD's own of the files, which are then read from the start again.
func fingerprintOf(files []file) (string, error) {
	sum := sha256.New()
	for _, f := range files {
		if _, err := io.Copy(sum, f); err != nil {
			return "", fmt.Errorf("read the LXD image %s: %w", f.Name(), err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return "", fmt.Errorf("read the LXD image %s: %w", f.Name(), err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
