# db: PostgreSQL: migrations, the shipper, the directory. Only this folder sees libpq.
noinst_LIBRARIES += libdb.a
libdb_a_CPPFLAGS = $(AM_CPPFLAGS) $(PQ_CFLAGS)
libdb_a_SOURCES = \
	src/db/batch.c src/db/batch.h \
	src/db/credentials.c src/db/credentials.h \
	src/db/dialogs.c src/db/dialogs.h \
	src/db/directory.c src/db/directory.h \
	src/db/history.c src/db/history.h \
	src/db/history_sql.c src/db/history_sql.h \
	src/db/migrate.c src/db/migrate.h \
	src/db/pg.c src/db/pg.h \
	src/db/rows.c src/db/rows.h \
	src/db/shipper.c src/db/shipper.h \
	src/db/statements.c src/db/statements.h

migrationsdir = $(pkgdatadir)/sql
dist_migrations_DATA = \
	sql/001-directory.sql \
	sql/002-ledger.sql \
	sql/003-views.sql \
	sql/004-queues.sql \
	sql/005-targets.sql \
	sql/006-access.sql \
	sql/007-queue-reports.sql \
	sql/008-consult.sql \
	sql/009-recordings.sql \
	sql/010-nodes.sql \
	sql/011-dial.sql \
	sql/012-released.sql \
	sql/013-recovery.sql \
	sql/014-queue-consult.sql \
	sql/015-queue-waiting.sql \
	sql/016-music-uri.sql \
	sql/017-half-hours.sql \
	sql/018-cut-off.sql \
	sql/019-last-quarter.sql \
	sql/020-node-owner.sql \
	sql/021-queue-hours.sql \
	sql/022-queue-openings.sql \
	sql/023-check-merged.sql \
	sql/demo.sql
EXTRA_DIST += docs/tables.md contrib/print-tables
