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

# Our own engine, or the one that is there, for the recipes below.
with_engine = env=$$($(MAKE) -s engine-env) && eval "$$env"

# What shows the progress of a call as one line a step, where it is not a terminal's.
progress := out/bin/progress
$(progress): $(wildcard tools/progress/*.go) tools/go.mod
	@GOWORK=off go -C tools build -o ../$@ ./progress

# Results go beside the earlier ones, which they replace when they are there: a call
# that fails or is interrupted leaves those of the call before.
new := out/.new
run_files := run.json journal.jsonl report.md report.txt summary.txt diagnosis.txt junit.xml results.tap
begin = @rm -rf $(new) && mkdir -p out
or_say = || { echo "make $@: the call failed: what is in out/ is not of this call" >&2; exit 1; }
conclude = @cat out/summary.txt && echo "The evidence is in out/diagnosis.txt, the whole tables are in out/report.txt"
replace = @(cd out && rm -rf $(1) error.txt) && mv $(new)/* out/ && rmdir $(new)

.PHONY: accuracy
accuracy: engine $(progress) ## Measure how often the diagnosis is right, on runners broken on purpose
	$(begin)
	@$(with_engine) && $(progress) dagger call accuracy export --path $(new) >/dev/null $(or_say)
	$(call replace,cases accuracy.json accuracy.txt)
	@cat out/accuracy.txt

.PHONY: run bench test test-deps test-unit test-e2e test-dind lint generate clean
run: engine $(progress) ## Do the main job: the whole comparison in the simulated runner, results in out/
	$(begin)
	@$(with_engine) && $(progress) dagger call simulate export export --path $(new) >/dev/null $(or_say)
	$(call replace,$(run_files))
	$(conclude)

# What is compared in a machine of its own: these take 10 minutes, '*' takes half an hour.
EMULATED ?= runner lxd-container lxd-vm
.PHONY: run-emulated test-emulated
run-emulated: engine $(progress) ## The comparison with LXD's virtual machine, in a runner that QEMU emulates: slow
	$(begin)
	@$(with_engine) && $(progress) dagger call simulate --runner emulated \
		$(foreach e,$(EMULATED),--environments '$(e)') export export --path $(new) >/dev/null $(or_say)
	$(call replace,$(run_files))
	$(conclude)

# TEST_EMULATED=TestWholeEmulated is the whole comparison, of half an hour.
TEST_EMULATED ?= TestEmulated
test-emulated: engine ## Test the emulated runner and LXD's virtual machine in it, on a real engine
	@$(with_engine) && go test -tags e2e,emulated -count=1 -timeout 4h -v -run '^$(TEST_EMULATED)$$' ./e2e

test: test-unit test-e2e ## Run every test, those on a real engine too

# The programs that tests drive, and Debian's packages of them.
test_programs := /usr/sbin/iptables-nft /usr/sbin/iptables-legacy /usr/sbin/nft /bin/ip /usr/bin/apt-ftparchive /usr/bin/jq /usr/bin/node /usr/sbin/dnsmasq /lib/systemd/systemd
test_packages := iptables nftables iproute2 apt-utils jq nodejs dnsmasq-base systemd

test-deps: ## Install what the tests need and is not there (apt-get, root)
	@for p in $(test_programs); do [ -x $$p ] || { \
		apt-get update -q && apt-get install -y -q --no-install-recommends $(test_packages); exit; }; done

# Tests wait for the thing itself: the time-outs end what is stuck, on a slow machine too.
test-unit: engine test-deps
	cd engine && GOWORK=off go test -timeout 30m ./...
	cd tools && GOWORK=off go test -timeout 30m ./...
	go test -timeout 30m ./remedy ./... # the longest first

# Four at a time: what is broken is waited for more than it is computed.
test-e2e: engine test-unit
	@$(with_engine) && go test -tags e2e -count=1 -parallel 4 -timeout 2h -v ./e2e

# By itself: what it does has ended engine 0.19.7, and with it all that runs there.
test-dind: engine ## Test Docker-in-Docker that is handed out, and modules that use it, on a real engine
	@$(with_engine) && NESTLAB_TEST_DIND=1 go test -tags e2e -count=1 -parallel 1 -timeout 1h -v -run '^Test(Dind|DindData|DindMethods|Example)$$' ./e2e

bench: engine ## Measure nestlab against what one would do instead; results in out/bench.json
	@$(with_engine) && go run ./bench

lint: engine ## Vet, staticcheck, actionlint, formatting, words, generated code up to date
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet -tags e2e,emulated ./...
	cd engine && GOWORK=off go vet ./...
	cd tools && GOWORK=off go vet ./progress ./words
	@GOWORK=off go -C tools build -o ../out/bin/words ./words
	out/bin/words
	GOBIN=$(CURDIR)/out/bin GOWORK=off go -C tools install tool
	out/bin/staticcheck -tags e2e,emulated ./...
	cd engine && GOWORK=off ../out/bin/staticcheck ./...
	out/bin/actionlint
	@$(with_engine) && tools/generated check

generate: engine ## Regenerate the module's code
	@$(with_engine) && tools/generated write

clean: engine-down ## Leave nothing behind: our engine, its network, results
	rm -rf out
