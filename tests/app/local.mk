check_PROGRAMS += tests/app/test_config
TESTS += tests/app/test_config
tests_app_test_config_SOURCES = tests/app/test_config.c
tests_app_test_config_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_app_test_config_LDADD = libapp.a libcore.a libbase.a $(CONFIGLIB_LIBS) $(CMOCKA_LIBS) -lpthread
