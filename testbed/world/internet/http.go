package internet

import (
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/nestlab/nestlab/testbed/world/vendorsite"
)

// MaxBlob is the most that /blob/N gives and /sink takes, in bytes.
const MaxBlob = 64 << 20

// getDocker is to this internet what get.docker.com is to the real one.
//
//go:embed get-docker.sh
var getDocker []byte

// handlers are what plain HTTP and what HTTPS answer.
func handlers(c Config, authority []byte, log *slog.Logger) (plain, secure http.Handler, err error) {
	registry, err := newRegistry(c.State, c.Images)
	if err != nil {
		return nil, nil, err
	}
	plainMux, err := sites(c)
	if err != nil {
		return nil, nil, err
	}
	// Whoever uses this internet as a service learns here what to trust.
	plainMux.HandleFunc("GET /ca.crt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		write(w, authority)
	})
	secureMux, err := sites(c)
	if err != nil {
		return nil, nil, err
	}
	secureMux.Handle(Registry+"/v2/", readOnly(registry))
	return logged(plainMux, log.With("service", "http")), logged(secureMux, log.With("service", "https")), nil
}

// sites is what is the same on both ports.
func sites(c Config) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", hello)
	mux.HandleFunc("GET /blob/{size}", blob)
	mux.HandleFunc("POST /sink", sink)
	if c.Vendor == "" {
		mux.HandleFunc("GET "+Download+"/linux/debian/gpg", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/pgp-keys")
			write(w, []byte(dockerKey))
		})
	}
	mux.HandleFunc("GET "+Get+"/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x-shellscript")
		write(w, getDocker)
	})
	if c.Vendor != "" {
		root, err := os.OpenRoot(c.Vendor)
		if err != nil {
			return nil, fmt.Errorf("serve the vendor's site (make it with: nestlab testbed vendor): %w", err)
		}
		// By any name: a service has that of whoever binds it.
		mux.Handle("GET /linux/", http.FileServerFS(root.FS()))
		mux.Handle("GET /"+vendorsite.Script, http.FileServerFS(root.FS()))
	}
	if c.AptRepository != "" {
		root, err := os.OpenRoot(c.AptRepository)
		if err != nil {
			return nil, fmt.Errorf("serve the apt repository (make it with: nestlab testbed apt-repo): %w", err)
		}
		mux.Handle("GET "+Archive+"/debian/", http.StripPrefix("/debian/", http.FileServerFS(root.FS())))
	}
	return mux, nil
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	write(w, fmt.Appendf(nil, "nestlab simulated internet host=%s from=%s tls=%t\n", r.Host, r.RemoteAddr, r.TLS != nil))
}

// blob gives bytes that are the same on every call and that nothing on the way can compress.
func blob(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.PathValue("size"), 10, 64)
	if err != nil || size < 0 || size > MaxBlob {
		http.Error(w, fmt.Sprintf("/blob/N: N is a number of bytes from 0 to %d", MaxBlob), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte{}), size); err != nil {
		panic(http.ErrAbortHandler) // the client went away, or must see that the body is cut
	}
}

// sink takes a body and answers its length.
func sink(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, MaxBlob))
	if err != nil {
		http.Error(w, fmt.Sprintf("after %d bytes: %v", n, err), http.StatusBadRequest)
		return
	}
	write(w, fmt.Appendf(nil, "received %d bytes\n", n))
}

// write sends a whole body; a client that went away ends the request.
func write(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// readOnly keeps clients from changing what the run is about.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the simulated registry takes no pushes", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// logged writes one line for each request, also for one that ends in a panic.
func logged(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &counter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			log.Info("request", "client", r.RemoteAddr, "host", r.Host, "method", r.Method, "path", r.URL.Path,
				"status", c.status, "bytes", c.bytes, "duration_ms", time.Since(start).Milliseconds())
		}()
		next.ServeHTTP(c, r)
	})
}

// counter remembers what was answered.
type counter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom keeps the server's way of sending a file without copying it.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController find the connection's own writer.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
