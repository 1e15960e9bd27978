# tests/db
check_PROGRAMS += tests/db/test_store
TESTS += tests/db/test_store
tests_db_test_store_SOURCES = tests/db/test_store.c
tests_db_test_store_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_db_test_store_LDADD = libstore.a libcore.a libbase.a $(LMDB_LIBS) $(CMOCKA_LIBS) -lpthread
