// Package distconsts holds the constants of the engine's distribution: where
// things lie in its root and what its variables are called. It stands in for
// upstream's nested module of the same name, which the module proxy does not
// serve; the values are those of v0.19.7.
package distconsts

// Where the engine looks for its parts.
const (
	EngineContainerName              = "dagger-engine.dev"
	DefaultEngineSockAddr            = "unix:///run/dagger/engine.sock"
	RuncPath                         = "/usr/local/bin/runc"
	DaggerInitPath                   = "/usr/local/bin/dagger-init"
	EngineDefaultStateDir            = "/var/lib/dagger"
	EngineContainerBuiltinContentDir = "/usr/local/share/dagger/content"
	EngineCustomCACertsDir           = "/usr/local/share/ca-certificates"
)

// The variables that name the SDKs' images in the engine's builtin content.
const (
	GoSDKManifestDigestEnvName         = "DAGGER_GO_SDK_MANIFEST_DIGEST"
	PythonSDKManifestDigestEnvName     = "DAGGER_PYTHON_SDK_MANIFEST_DIGEST"
	TypescriptSDKManifestDigestEnvName = "DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST"
)

// The images that the engine itself refers to.
const (
	AlpineVersion        = "3.22.1"
	AlpineImage          = "alpine:" + AlpineVersion
	GolangVersion        = "1.25.3"
	GolangImage          = "golang:" + GolangVersion + "-alpine"
	BusyboxVersion       = "1.37.0"
	BusyboxImage         = "busybox:" + BusyboxVersion
	OCIVersionAnnotation = "org.opencontainers.image.version"
)
