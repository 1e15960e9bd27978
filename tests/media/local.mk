# tests/media: the control protocol against scripted engines on loopback, and what we say ourselves.
check_PROGRAMS += tests/media/test_ng tests/media/test_own
TESTS += tests/media/test_ng tests/media/test_own
tests_media_test_ng_SOURCES = tests/media/test_ng.c
tests_media_test_ng_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_media_test_ng_LDADD = libmedia.a libcore.a libbase.a $(CMOCKA_LIBS) $(JANSSON_LIBS) -lpthread
tests_media_test_own_SOURCES = tests/media/test_own.c
tests_media_test_own_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_media_test_own_LDADD = libmedia.a libcore.a libbase.a $(CMOCKA_LIBS) $(JANSSON_LIBS) -lpthread
