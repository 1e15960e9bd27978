# store: the outbox of facts. Only this folder sees LMDB.
noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = src/store/calls.c src/store/calls.h src/store/store.c src/store/store.h
libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(LMDB_CFLAGS)
