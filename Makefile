# make run     the main job on this repository's documents
# make test    every test
# make verify  read-only checks: format, lints, documentation, dependencies, traceability
# make fix     format and apply lints' suggestions
# make bench   the figures in docs/TESTING.md

SHELL := /bin/bash
CARGO ?= cargo
# A model that runs away is stopped by this limit (in KiB) instead of by the whole machine.
MEMORY_LIMIT_KIB ?= 16000000

.PHONY: run test verify verify-tla specification-states fix bench toolchain

run: toolchain
	$(CARGO) run --release -- run wordcount

test: toolchain
	ulimit -v $(MEMORY_LIMIT_KIB) && $(CARGO) test --workspace --locked

verify: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(CARGO) clippy -p snapline --no-default-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features --locked
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	else echo "skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"; fi
	@if command -v duvet >/dev/null; then duvet report --ci true && duvet query -c implementation,test; \
	else echo "skipped: duvet is not installed (cargo install duvet --locked)"; fi

# The abstract specification, with a restart and with an abort: its safety and, under weak fairness, its liveness.
verify-tla:
	tla spec/Checkpointing.tla --config spec/Checkpointing.cfg --check-liveness
	tla spec/Checkpointing.tla --config spec/CheckpointingAborted.cfg --check-liveness

# The states of the specification that model/tests/specification_tla.rs compares the Rust model with.
specification-states:
	@for size in final:0 periodic:1; do \
	  tla spec/Checkpointing.tla --config spec/Checkpointing.cfg -c Restarts=0 -c Periodic=$${size#*:} \
	    --export-dot model/tests/fixtures/states.dot --dot-mode full >/dev/null && \
	  sed -nE -f model/tests/fixtures/states.sed model/tests/fixtures/states.dot | LC_ALL=C sort -u \
	    >model/tests/fixtures/checkpointing-$${size%:*}.txt || exit 1; \
	done; rm model/tests/fixtures/states.dot

fix: toolchain
	$(CARGO) clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged
	$(CARGO) fmt --all

bench: toolchain
	$(CARGO) bench -p snapline --bench coordinator
	$(CARGO) bench -p snapline-cli --bench checkpoint_overhead

toolchain:
	@command -v $(CARGO) >/dev/null || { \
	  echo "Rust is missing: install it from https://rustup.rs, then run this again." >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  echo "A C linker is missing: sudo apt-get install --yes gcc libc6-dev" >&2; exit 1; }
