# base: ids, bounded strings, log, names. Includes nothing of segue but itself.
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	src/base/id.c src/base/id.h \
	src/base/log.c src/base/log.h \
	src/base/names.h \
	src/base/str.c src/base/str.h \
	src/base/text.c src/base/text.h \
	src/base/uuid.c src/base/uuid.h
