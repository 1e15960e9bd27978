# Our own parsers under any bytes. In make check each target replays its corpus (corpus.c); with
# configure --enable-fuzzers CC=clang they search: make fuzz FUZZ_SECONDS=60.
EXTRA_DIST += tests/fuzz/fuzz.h \
	tests/fuzz/corpus/config tests/fuzz/corpus/dialplan tests/fuzz/corpus/referto \
	tests/fuzz/corpus/register tests/fuzz/corpus/sdp

fuzz_corpora = \
	tests/fuzz/corpus_config \
	tests/fuzz/corpus_dialplan \
	tests/fuzz/corpus_referto \
	tests/fuzz/corpus_register \
	tests/fuzz/corpus_sdp
check_PROGRAMS += $(fuzz_corpora)
TESTS += $(fuzz_corpora)

fuzz_text_libs = libsip.a libcore.a libbase.a $(CRYPTO_LIBS) -lpthread
fuzz_app_libs = libapp.a libsip.a libdb.a libstore.a libcore.a libbase.a \
	$(SOFIA_LIBS) $(PQ_LIBS) $(LMDB_LIBS) $(CONFIGLIB_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) \
	-lpthread

tests_fuzz_corpus_config_SOURCES = tests/fuzz/corpus.c tests/fuzz/fuzz_config.c
tests_fuzz_corpus_config_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"config"'
tests_fuzz_corpus_config_LDADD = $(fuzz_app_libs)
tests_fuzz_corpus_dialplan_SOURCES = tests/fuzz/corpus.c tests/fuzz/fuzz_dialplan.c
tests_fuzz_corpus_dialplan_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"dialplan"'
tests_fuzz_corpus_dialplan_LDADD = libcore.a libbase.a
tests_fuzz_corpus_referto_SOURCES = tests/fuzz/corpus.c tests/fuzz/fuzz_referto.c
tests_fuzz_corpus_referto_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"referto"'
tests_fuzz_corpus_referto_LDADD = $(fuzz_text_libs)
tests_fuzz_corpus_register_SOURCES = tests/fuzz/corpus.c tests/fuzz/fuzz_register.c
tests_fuzz_corpus_register_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"register"'
tests_fuzz_corpus_register_LDADD = $(fuzz_text_libs)
tests_fuzz_corpus_sdp_SOURCES = tests/fuzz/corpus.c tests/fuzz/fuzz_sdp.c
tests_fuzz_corpus_sdp_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_NAME='"sdp"'
tests_fuzz_corpus_sdp_LDADD = $(fuzz_text_libs)

if FUZZERS
# The code under test is compiled in, so that the fuzzer sees its branches.
fuzz_cflags = $(SEGUE_CFLAGS) -g -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined
fuzz_text_sources = src/base/str.c src/core/types.c src/sip/uri.c
noinst_PROGRAMS += tests/fuzz/fuzz_config tests/fuzz/fuzz_dialplan tests/fuzz/fuzz_referto \
	tests/fuzz/fuzz_register tests/fuzz/fuzz_sdp

tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c src/app/config.c src/app/options.c
tests_fuzz_fuzz_config_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIGLIB_CFLAGS)
tests_fuzz_fuzz_config_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_config_LDFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_config_LDADD = $(fuzz_app_libs)
tests_fuzz_fuzz_dialplan_SOURCES = tests/fuzz/fuzz_dialplan.c src/core/dialplan.c
tests_fuzz_fuzz_dialplan_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_dialplan_LDFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_dialplan_LDADD = libcore.a libbase.a
tests_fuzz_fuzz_referto_SOURCES = tests/fuzz/fuzz_referto.c $(fuzz_text_sources) \
	src/sip/headers.c src/sip/referto.c
tests_fuzz_fuzz_referto_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_referto_LDFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_referto_LDADD = -lpthread
tests_fuzz_fuzz_register_SOURCES = tests/fuzz/fuzz_register.c $(fuzz_text_sources) \
	src/sip/digest.c src/sip/registrar.c
tests_fuzz_fuzz_register_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_register_LDFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_register_LDADD = $(CRYPTO_LIBS)
tests_fuzz_fuzz_sdp_SOURCES = tests/fuzz/fuzz_sdp.c $(fuzz_text_sources) \
	src/sip/sdp.c src/sip/sdp_rewrite.c
tests_fuzz_fuzz_sdp_CFLAGS = $(fuzz_cflags)
tests_fuzz_fuzz_sdp_LDFLAGS = $(fuzz_cflags)

FUZZ_SECONDS = 60
fuzz: $(noinst_PROGRAMS)
	@for t in config dialplan referto register sdp; do \
		mkdir -p fuzz-work/$$t && \
		./tests/fuzz/fuzz_$$t -max_total_time=$(FUZZ_SECONDS) -timeout=5 -max_len=4096 \
			fuzz-work/$$t $(srcdir)/tests/fuzz/corpus/$$t || exit 1; \
	done
soak_more = soak-fuzz
soak-fuzz:
	$(MAKE) fuzz FUZZ_SECONDS=900
endif
