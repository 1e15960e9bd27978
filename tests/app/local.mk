check_PROGRAMS += tests/app/test_config
TESTS += tests/app/test_config
tests_app_test_config_SOURCES = tests/app/test_config.c
tests_app_test_config_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_app_test_config_LDADD = libapp.a libcore.a libbase.a $(CONFIGLIB_LIBS) $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/app/test_parts
TESTS += tests/app/test_parts
tests_app_test_parts_SOURCES = tests/app/test_parts.c
tests_app_test_parts_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_app_test_parts_LDADD = libapp.a libcore.a libbase.a $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/app/test_runner
TESTS += tests/app/test_runner
tests_app_test_runner_SOURCES = tests/app/test_runner.c
tests_app_test_runner_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(SOFIA_CFLAGS)
tests_app_test_runner_LDADD = libapp.a libmedia.a libhttp.a libstore.a libcore.a libbase.a \
	$(CMOCKA_LIBS) $(SOFIA_LIBS) $(LMDB_LIBS) $(CONFIGLIB_LIBS) $(JANSSON_LIBS) $(CURL_LIBS) \
	$(CRYPTO_LIBS) -lpthread
TESTS += tests/app/test_segued.py
EXTRA_DIST += tests/app/test_segued.py
