# http: HTTP in the event loop, and requests of our own. Only this folder sees libmicrohttpd,
# libcurl and zlib.
noinst_LIBRARIES += libhttp.a
libhttp_a_CPPFLAGS = $(AM_CPPFLAGS) $(MHD_CFLAGS) $(CURL_CFLAGS) $(ZLIB_CFLAGS)
libhttp_a_SOURCES = \
	src/http/gzip.c src/http/gzip.h \
	src/http/post.c src/http/post.h \
	src/http/push.c src/http/push.h \
	src/http/server.c src/http/server.h
