# tests/core
check_PROGRAMS += tests/core/test_base
TESTS += tests/core/test_base
tests_core_test_base_SOURCES = tests/core/test_base.c
tests_core_test_base_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_core_test_base_LDADD = libbase.a $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/core/test_dialplan
TESTS += tests/core/test_dialplan
tests_core_test_dialplan_SOURCES = tests/core/test_dialplan.c
tests_core_test_dialplan_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_core_test_dialplan_LDADD = libcore.a libbase.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/core/test_fact
TESTS += tests/core/test_fact
tests_core_test_fact_SOURCES = tests/core/test_fact.c
tests_core_test_fact_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_core_test_fact_LDADD = libcore.a libbase.a $(CMOCKA_LIBS)
