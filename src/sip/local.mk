noinst_LIBRARIES += libsip.a
libsip_a_SOURCES =
include src/sip/text.mk
