# media: rtpengine's control protocol. Includes base and core; jansson for the messages.
noinst_LIBRARIES += libmedia.a
libmedia_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libmedia_a_SOURCES = \
	src/media/events.c \
	src/media/hearing.c \
	src/media/inner.h \
	src/media/keys.c \
	src/media/media.c src/media/media.h \
	src/media/ng.c src/media/ng.h \
	src/media/own.c \
	src/media/pair.c
