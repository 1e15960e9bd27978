# Unit tests of sip/'s text and data half: no stack, no sockets.
sip_unit_tests = \
	tests/sip/test_digest \
	tests/sip/test_headers \
	tests/sip/test_print \
	tests/sip/test_referto \
	tests/sip/test_registrar_data \
	tests/sip/test_sdp \
	tests/sip/test_uri
check_PROGRAMS += $(sip_unit_tests)
TESTS += $(sip_unit_tests)
sip_unit_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
sip_unit_ldadd = libsip.a libcore.a libbase.a $(CRYPTO_LIBS) $(CMOCKA_LIBS) -lpthread
tests_sip_test_digest_CPPFLAGS = $(sip_unit_cppflags)
tests_sip_test_digest_LDADD = $(sip_unit_ldadd)
tests_sip_test_headers_CPPFLAGS = $(sip_unit_cppflags)
tests_sip_test_headers_LDADD = $(sip_unit_ldadd)
tests_sip_test_print_CPPFLAGS = $(sip_unit_cppflags) $(SOFIA_CFLAGS)
tests_sip_test_print_LDADD = $(sip_unit_ldadd) $(SOFIA_LIBS)
tests_sip_test_referto_CPPFLAGS = $(sip_unit_cppflags)
tests_sip_test_referto_LDADD = $(sip_unit_ldadd)
tests_sip_test_registrar_data_CPPFLAGS = $(sip_unit_cppflags)
tests_sip_test_registrar_data_LDADD = $(sip_unit_ldadd)
tests_sip_test_sdp_CPPFLAGS = $(sip_unit_cppflags)
tests_sip_test_sdp_LDADD = $(sip_unit_ldadd)
tests_sip_test_uri_CPPFLAGS = $(sip_unit_cppflags)
tests_sip_test_uri_LDADD = $(sip_unit_ldadd)

# docs/headers.md is printed from the header policy; tests/sip/test_headers compares it.
EXTRA_DIST += docs/headers.md
regenerate-headers: tests/sip/test_headers
	./tests/sip/test_headers print > $(srcdir)/docs/headers.md
