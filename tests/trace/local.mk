# tests/trace: written scenarios and the golden traces they give.
check_PROGRAMS += tests/trace/run
TESTS += tests/trace/run
tests_trace_run_SOURCES = $(SIM_WATCHERS) \
	tests/trace/run.c \
	tests/trace/script.c tests/trace/script.h \
	tests/trace/stage.c tests/trace/stage.h
tests_trace_run_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_trace_run_LDADD = libcore.a libbase.a
EXTRA_DIST += tests/trace/README.md tests/trace/scenarios
