# What people and workflows call. `make help` lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Static binaries from the Go that is installed, whatever the shell has set.
export CGO_ENABLED := 0
export GOTOOLCHAIN := local

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {gsub(/[$$][$$]/, "$$"); printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## ---- The Dagger engine: the one that is there, or our own (engine/) ----

engine_driver = @cd engine && GOWORK=off go run .

.PHONY: engine engine-env engine-status engine-down clean-cache
engine: ## Have a Dagger engine: use the one that is there, or build and start v0.19.7
	$(engine_driver) up

engine-env: ## Print what sets up a shell for the engine: eval "$$(make -s engine-env)"
	$(engine_driver) env

engine-status: ## Say what runs, which version, where it lies and what it takes
	$(engine_driver) status

engine-down: ## Stop our own engine and take away what it left
	$(engine_driver) down

clean-cache: ## Stop our own engine and remove everything that was built for it
	$(engine_driver) clean

## ---- Run, test, bench, lint, clean ----
