# tests/sim: the simulator. Links core and base alone, which proves that the core is pure.
SIM_WATCHERS = \
	tests/sim/books.c tests/sim/books.h \
	tests/sim/contract.c tests/sim/contract.h \
	tests/sim/death.c tests/sim/death.h \
	tests/sim/judge.c tests/sim/judge.h \
	tests/sim/print.c tests/sim/print.h \
	tests/sim/shown.c tests/sim/shown.h \
	tests/sim/sim.c tests/sim/sim.h

check_PROGRAMS += tests/sim/sim
TESTS += tests/sim/sim
tests_sim_sim_SOURCES = $(SIM_WATCHERS) \
	tests/sim/centre.c tests/sim/centre.h \
	tests/sim/dump.c tests/sim/dump.h \
	tests/sim/main.c \
	tests/sim/mutate.c tests/sim/mutate.h \
	tests/sim/replay.c tests/sim/replay.h \
	tests/sim/rng.h \
	tests/sim/world.c tests/sim/world.h
tests_sim_sim_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_sim_sim_LDADD = libcore.a libbase.a

SOAK_EVENTS = 50000000
.PHONY: soak soak-sim soak-deaths soak-wire
soak: soak-sim soak-deaths soak-wire $(soak_more)
soak-sim: tests/sim/sim
	tests/sim/sim --fresh --events $(SOAK_EVENTS)
# Killed at every moment of each flow, where `make check` has every third.
soak-deaths: all tests/lib/mortal.so
	SEGUE_SRC=$(abs_top_srcdir) SEGUE_BUILD=$(abs_builddir) SEGUE_TEST_STEP=1 \
		python3 $(top_srcdir)/tests/sip/test_deaths.py
# Crowds of phones, and messages with broken copies of them, that nobody has seen before.
soak-wire: all
	for t in crowd mutations; do \
		SEGUE_SRC=$(abs_top_srcdir) SEGUE_BUILD=$(abs_builddir) SEGUE_TEST_SEEDS=30 SEGUE_TEST_JOBS=2 \
			SEGUE_TEST_SEED=`date +%s` python3 $(top_srcdir)/tests/sip/test_$$t.py || exit 1; \
	done
