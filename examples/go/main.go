// Example builds and runs an image in a Docker of its own.
package main

import "context"

type Example struct{}

// Test runs docker build and docker run.
//
// +cache="never"
func (m *Example) Test(ctx context.Context) (string, error) {
	return dag.Nestlab().Dind().
		WithImage("base", dag.Container().From("debian:bookworm")).
		Container().
		WithNewFile("/app/Dockerfile", "FROM base\nRUN echo hello from a build >/greeting\nCMD cat /greeting\n").
		WithExec([]string{"docker", "build", "--tag", "app", "/app"}).
		WithExec([]string{"docker", "run", "--rm", "app"}).
		Stdout(ctx)
}
