package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

const (
	// dockerHub is the registry whose images the mirror has.
	dockerHub = "docker.io"
	// dockerHubHost is the host that a client asks for dockerHub's images.
	dockerHubHost = "registry-1.docker.io"
)

// mirroredRegistries are the registries whose names lead the engine to the
// mirror. Only docker.io's images are there; the others are listed so that
// asking for theirs fails at once, with a reason.
var mirroredRegistries = []string{
	dockerHub, "docker.elastic.co", "gcr.io", "ghcr.io", "index.docker.io", "lscr.io", "mcr.microsoft.com",
	"nvcr.io", "public.ecr.aws", "quay.io", "registry.access.redhat.com", "registry.dagger.io",
	"registry.gitlab.com", "registry.k8s.io",
}

// mirror serves the images of an OCI layout, and only reads.
type mirror struct {
	store  http.Handler
	images []string        // short names, sorted
	known  map[string]bool // short names with tag and with digest
}

// newMirror opens a layout. The blobs are read from disk when they are asked for.
func newMirror(dir string, logger *log.Logger) (*mirror, error) {
	refs, err := references(dir)
	if err != nil {
		return nil, err
	}
	m := &mirror{known: map[string]bool{}, store: registry.New(registry.Logger(logger),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(filepath.Join(dir, "blobs"))))}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if err := m.load(dir, name, refs[name]); err != nil {
			return nil, fmt.Errorf("load %s into the mirror: %w", name, err)
		}
	}
	return m, nil
}

// load hands the registry a manifest, the way that a push would.
func (m *mirror) load(dir, name string, d v1.Descriptor) error {
	manifest, err := layout.Path(dir).Bytes(d.Digest)
	if err != nil {
		return err
	}
	repo, tag, _ := strings.Cut(name, ":")
	put, err := http.NewRequest(http.MethodPut, "/v2/"+repo+"/manifests/"+tag, bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	put.Header.Set("Content-Type", string(d.MediaType))
	answer := &verdict{header: http.Header{}}
	m.store.ServeHTTP(answer, put)
	if answer.status != http.StatusCreated {
		return fmt.Errorf("the registry answers %d: %s", answer.status, answer.body.String())
	}
	short := strings.TrimPrefix(name, "library/")
	m.images = append(m.images, short)
	m.known[short] = true
	m.known[strings.TrimPrefix(repo, "library/")+"@"+d.Digest.String()] = true
	return nil
}

// verdict takes the answer to a request that came over no network.
type verdict struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) WriteHeader(status int)      { v.status = status }
func (v *verdict) Write(b []byte) (int, error) { return v.body.Write(b) }

// ServeHTTP answers as a registry that cannot be written to. What it does not
// have it refuses with a text that names the image and lists what there is.
func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "nestlab's mirror is read-only")
		return
	}
	if why := m.missing(r); why != "" {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", why)
		return
	}
	m.store.ServeHTTP(w, r)
}

// missing says that the mirror lacks the image that is asked for, if it does.
func (m *mirror) missing(r *http.Request) string {
	image, ok := askedImage(r)
	if host := askedRegistry(r); host == dockerHub {
		image = strings.TrimPrefix(image, "library/")
	} else {
		image = host + "/" + image
	}
	if !ok || m.known[image] {
		return ""
	}
	return fmt.Sprintf("nestlab's mirror does not have %s; it has: %s", image, strings.Join(m.images, ", "))
}

// outspoken is the mirror as the engine sees it. An engine that gets a 404 says
// "not found" and no more; of any other refusal it shows the status line. So
// the text goes there.
func (m *mirror) outspoken() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why := m.missing(r)
		if why == "" {
			m.ServeHTTP(w, r)
			return
		}
		if err := sayInStatusLine(w, why); err != nil {
			log.Printf("refuse a pull: %v", err)
		}
	})
}

// askedImage is the image whose manifest is asked for, and whether one is.
func askedImage(r *http.Request) (string, bool) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	i := strings.LastIndex(path, "/manifests/")
	if !ok || i < 0 {
		return "", false
	}
	repo, ref := path[:i], path[i+len("/manifests/"):]
	if strings.HasPrefix(ref, "sha256:") {
		return repo + "@" + ref, true
	}
	return repo + ":" + ref, true
}

// askedRegistry is the registry that the client believes it talks to: what it
// says when it knows that this is a mirror, else the name it has for this host.
func askedRegistry(r *http.Request) string {
	host := r.URL.Query().Get("ns")
	if host == "" {
		host, _, _ = strings.Cut(r.Host, ":")
		if !slices.Contains(mirroredRegistries, host) {
			return dockerHub
		}
	}
	if host == dockerHubHost || host == "index.docker.io" {
		return dockerHub
	}
	return host
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	b, err := json.Marshal(map[string][]item{"errors": {{code, message}}})
	if err != nil {
		http.Error(w, message, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		log.Printf("refuse a pull: %v", err)
	}
}

func sayInStatusLine(w http.ResponseWriter, reason string) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	defer conn.Close()
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, reason)
	_, err = fmt.Fprintf(conn, "HTTP/1.1 403 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", line)
	return err
}
