# make run     the main job on this repository's documents
# make test    every test
# make verify  read-only checks: format, lints, documentation, dependencies, traceability
# make fix     format and apply lints' suggestions
# make bench   the figures in docs/TESTING.md

SHELL := /bin/bash
CARGO ?= cargo
# A model that runs away is stopped by this limit (in KiB) instead of by the whole machine. The arenas of the allocator, of which
# there are as many as processors, reserve addresses that count as well: they are kept few.
MEMORY_LIMIT_KIB ?= 16000000

.PHONY: run test verify verify-tla verify-tla-quick specification-fixtures fix bench toolchain toolchain-rust

# Without the backend on RocksDB, so that Rust and a C linker are enough.
run: toolchain-rust
	$(CARGO) run --release -- run wordcount

test: toolchain
	@tools/etcd
	export MALLOC_ARENA_MAX=4 && ulimit -v $(MEMORY_LIMIT_KIB) && $(CARGO) test --workspace --all-features --locked
	@if command -v $(TLA) >/dev/null; then $(MAKE) --no-print-directory verify-tla-quick; \
	else echo "skipped: tla is not installed (cargo install tla-checker --locked)"; fi

verify: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(CARGO) clippy -p snapline --no-default-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features --locked
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	else echo "skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"; fi
	@if command -v duvet >/dev/null; then duvet report --ci true && duvet query -c implementation,test; \
	else echo "skipped: duvet is not installed (cargo install duvet --locked)"; fi
	@if command -v $(TLA) >/dev/null; then $(MAKE) --no-print-directory verify-tla; \
	else echo "skipped: tla is not installed (cargo install tla-checker --locked)"; fi

# The abstract specification: its safety and, under weak fairness, its liveness.
verify-tla: verify-tla-quick
	$(call model-checked,CheckpointingSubsumed)

verify-tla-quick:
	$(call model-checked,Checkpointing)
	$(call model-checked,CheckpointingAborted)

# By TLC, if TLA2TOOLS_JAR names its jar and there is a Java, and by tla (cargo install tla-checker --locked) otherwise.
ifneq ($(and $(TLA2TOOLS_JAR),$(shell command -v java)),)
TLA := java
model-checked = java -XX:+UseParallelGC -cp "$(TLA2TOOLS_JAR)" tlc2.TLC -cleanup -metadir "$$(mktemp -d)" \
	-config spec/$(1).cfg spec/Checkpointing.tla
else
TLA := tla
model-checked = tla spec/Checkpointing.tla --config spec/$(1).cfg --check-liveness
endif

# What model/tests/specification_tla compares the Rust model with: the states of the specification, and walks through them.
# This takes half an hour, most of it for the recovery, of which no walks are kept.
FIXTURES := model/tests/fixtures
specification-fixtures:
	@for size in final:Checkpointing:0:0 periodic:Checkpointing:1:0 restart:Checkpointing:0:1 recovery:Checkpointing:1:1 \
	    abort:CheckpointingAborted:0:0; do \
	  IFS=: read -r name config periodic restarts <<<"$$size" && \
	  tla spec/Checkpointing.tla --config spec/$$config.cfg -c Periodic=$$periodic -c Restarts=$$restarts \
	    --export-dot $(FIXTURES)/graph.dot --dot-mode full >/dev/null && \
	  awk -f $(FIXTURES)/specification.awk $(FIXTURES)/graph.dot | LC_ALL=C sort -u >$(FIXTURES)/states/$$name.txt && \
	  { [ $$name = recovery ] || awk -v walks=12 -f $(FIXTURES)/specification.awk $(FIXTURES)/graph.dot \
	    >$(FIXTURES)/traces/$$name.txt; } || exit 1; \
	done; rm $(FIXTURES)/graph.dot

fix: toolchain
	$(CARGO) clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged
	$(CARGO) fmt --all

bench: toolchain
	$(CARGO) bench -p snapline --bench coordinator
	$(CARGO) bench -p snapline --bench heap
	$(CARGO) bench -p snapline --features rocksdb --bench rocksdb
	$(CARGO) bench -p snapline --bench verify
	$(CARGO) bench -p snapline --features rocksdb --bench rescale
	$(CARGO) bench -p snapline-cli --bench checkpoint_overhead

toolchain: toolchain-rust
	@tools/rocksdb-toolchain

toolchain-rust:
	@command -v $(CARGO) >/dev/null || { \
	  echo "Rust is missing: install it from https://rustup.rs, then run this again." >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  echo "A C linker is missing: sudo apt-get install --yes gcc libc6-dev" >&2; exit 1; }
