# http: HTTP in the event loop. Only this folder sees libmicrohttpd.
noinst_LIBRARIES += libhttp.a
libhttp_a_CPPFLAGS = $(AM_CPPFLAGS) $(MHD_CFLAGS)
libhttp_a_SOURCES = src/http/server.c src/http/server.h
