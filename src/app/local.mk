# app: where the layers meet. The only one that sees libconfig and jansson.
noinst_LIBRARIES += libapp.a
libapp_a_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIGLIB_CFLAGS) $(JANSSON_CFLAGS) $(SOFIA_CFLAGS)
libapp_a_SOURCES = \
	src/app/config.c src/app/config.h \
	src/app/config_print.c \
	src/app/options.c src/app/options.h
