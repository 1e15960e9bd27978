# app: where the layers meet. The only one that sees libconfig and jansson; loop.c alone sees the
# event loop of the SIP library.
noinst_LIBRARIES += libapp.a
libapp_a_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIGLIB_CFLAGS) $(JANSSON_CFLAGS) $(SOFIA_CFLAGS) \
	$(CRYPTO_CFLAGS) $(CRYPT_CFLAGS)
libapp_a_SOURCES = \
	src/app/access.c src/app/access.h \
	src/app/api.c src/app/api.h src/app/api_internal.h \
	src/app/api_csv.c \
	src/app/api_events.c \
	src/app/api_history.c \
	src/app/api_json.c \
	src/app/api_live.c \
	src/app/api_login.c \
	src/app/api_memory.c \
	src/app/api_metrics.c \
	src/app/api_routes.c \
	src/app/api_schemas.c src/app/api_schemas.h \
	src/app/api_static.c \
	src/app/api_targets.c \
	src/app/api_verbs.c \
	src/app/api_warm.c \
	src/app/anchor.c src/app/anchor.h \
	src/app/commands.c \
	src/app/commands_acd.c \
	src/app/config.c src/app/config.h \
	src/app/keeper.c src/app/keeper.h \
	src/app/pledge.c src/app/pledge.h \
	src/app/config_print.c \
	src/app/control.c src/app/control.h src/app/control_internal.h \
	src/app/ctl.c src/app/ctl.h \
	src/app/files.c src/app/files.h \
	src/app/jo.c src/app/jo.h \
	src/app/keys.c src/app/keys.h \
	src/app/ledger.c src/app/ledger.h \
	src/app/live.c src/app/live.h \
	src/app/loop.c src/app/loop.h \
	src/app/nodes.c src/app/nodes.h \
	src/app/options.c src/app/options.h \
	src/app/people.c src/app/people.h \
	src/app/recorder.c src/app/recorder.h \
	src/app/runner.c src/app/runner.h \
	src/app/story.c src/app/story.h \
	src/app/timers.c src/app/timers.h \
	src/app/webhooks.c src/app/webhooks.h \
	src/app/worker.c src/app/worker.h

app_paths = -DSEGUE_CONF='"$(sysconfdir)/segue/segue.conf"' -DSEGUE_SQL='"$(pkgdatadir)/sql"'

sbin_PROGRAMS += segued
segued_SOURCES = src/app/main.c
segued_CPPFLAGS = $(AM_CPPFLAGS) $(app_paths)
segued_LDADD = libapp.a libhttp.a libmedia.a libsip.a libdb.a libstore.a libcore.a libbase.a \
	$(SOFIA_LIBS) $(PQ_LIBS) $(LMDB_LIBS) $(CONFIGLIB_LIBS) $(JANSSON_LIBS) $(MHD_LIBS) $(CURL_LIBS) $(ZLIB_LIBS) \
	$(CRYPT_LIBS) $(CRYPTO_LIBS) -lpthread

bin_PROGRAMS += seguectl
seguectl_SOURCES = src/app/seguectl.c
seguectl_CPPFLAGS = $(AM_CPPFLAGS) $(app_paths) $(JANSSON_CFLAGS)
seguectl_LDADD = libapp.a libdb.a libcore.a libbase.a \
	$(PQ_LIBS) $(CONFIGLIB_LIBS) $(JANSSON_LIBS) $(CRYPT_LIBS) $(CRYPTO_LIBS) -lpthread

dist_man_MANS += man/segued.8 man/seguectl.1 man/segue.conf.5
exampledir = $(docdir)
dist_example_DATA = conf/segue.conf conf/trunks.conf
EXTRA_DIST += docs/targets.md docs/media.md docs/options.md docs/api.md \
	docs/api-shapes.md docs/http.md

# Files that are printed from the table of options; tests/app compares them.
regenerate-app: segued
	./segued --print-config > $(srcdir)/conf/segue.conf
	./segued --print-man > $(srcdir)/man/segue.conf.5
	./segued --print-markdown > $(srcdir)/docs/options.md
	./segued --print-api > $(srcdir)/docs/api.md
.PHONY: regenerate-app
