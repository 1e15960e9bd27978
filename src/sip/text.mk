# The half of sip/ that is text and data: no sofia in it.
libsip_a_SOURCES += \
	src/sip/digest.c src/sip/digest.h \
	src/sip/headers.c src/sip/headers.h \
	src/sip/referto.c src/sip/referto.h \
	src/sip/registrar.c src/sip/registrar.h \
	src/sip/sdp.c src/sip/sdp.h src/sip/sdp_rewrite.c \
	src/sip/slice.h \
	src/sip/uri.c src/sip/uri.h
