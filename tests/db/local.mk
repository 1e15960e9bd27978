# tests/db
check_PROGRAMS += tests/db/test_store
TESTS += tests/db/test_store
tests_db_test_store_SOURCES = tests/db/test_store.c
tests_db_test_store_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(LMDB_CFLAGS)
tests_db_test_store_LDADD = libstore.a libcore.a libbase.a $(LMDB_LIBS) $(CMOCKA_LIBS) -lpthread

db_test_libs = libdb.a libstore.a libcore.a libbase.a $(PQ_LIBS) $(LMDB_LIBS) -lpthread
check_PROGRAMS += tests/db/ledgertool tests/db/dirtool
tests_db_ledgertool_SOURCES = tests/db/ledgertool.c
tests_db_ledgertool_LDADD = $(db_test_libs)
tests_db_dirtool_SOURCES = tests/db/dirtool.c
tests_db_dirtool_LDADD = $(db_test_libs)

check_PROGRAMS += tests/db/test_batch
TESTS += tests/db/test_batch
tests_db_test_batch_SOURCES = tests/db/test_batch.c
tests_db_test_batch_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_db_test_batch_LDADD = libdb.a libcore.a libbase.a $(CMOCKA_LIBS)

# against a private PostgreSQL (tests/lib/pg.py)
TESTS += tests/db/test_schema.py tests/db/test_ship.py tests/db/test_directory.py \
	tests/db/test_hours.py
EXTRA_DIST += tests/db/dbtest.py tests/db/test_schema.py tests/db/test_ship.py \
	tests/db/test_directory.py tests/db/test_hours.py
