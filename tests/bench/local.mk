# bench: `make bench` builds segue optimised in bench-build/, without sanitizers, and measures it
# beside a UDP relay and Kamailio. Not part of `make check`. BENCH_FLAGS="--quick" for half a minute,
# BENCH_FLAGS="--write" to put the figures into docs/performance.md.
EXTRA_DIST += tests/bench/run tests/bench/instructions tests/bench/build.py tests/bench/layers.py \
	tests/bench/answers.py tests/bench/listeners.py tests/bench/paint.py tests/bench/wire.py tests/bench/procs.py tests/bench/report.py tests/bench/systems.py \
	tests/bench/traffic.py tests/bench/assign.c tests/bench/crowd.c tests/bench/heap.c tests/bench/relay.c \
	tests/bench/watch.c tests/bench/kamailio.cfg tests/bench/agent.xml tests/bench/asked.xml \
	tests/bench/callee.xml tests/bench/caller.xml tests/bench/consult.xml tests/bench/customer.xml tests/bench/held.xml

.PHONY: bench bench-instructions
bench:
	SEGUE_BUILD=$(abs_top_builddir) python3 $(srcdir)/tests/bench/run $(BENCH_FLAGS)

# Instructions per call, by callgrind: the same whatever else the machine does.
bench-instructions:
	SEGUE_BUILD=$(abs_top_builddir) python3 $(srcdir)/tests/bench/instructions $(BENCH_FLAGS)
