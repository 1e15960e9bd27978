# sip: sofia-sip (NTA in stack_nta.c alone), OpenSSL for digests. Includes base and core.
noinst_LIBRARIES += libsip.a
libsip_a_CPPFLAGS = $(AM_CPPFLAGS) $(SOFIA_CFLAGS) $(CRYPTO_CFLAGS)
libsip_a_SOURCES = \
	src/sip/answer.c \
	src/sip/bye.c \
	src/sip/caller.c \
	src/sip/challenge.c \
	src/sip/contact.c \
	src/sip/dialog.c src/sip/dialog.h \
	src/sip/print.c src/sip/print.h \
	src/sip/digits.c \
	src/sip/identity.c \
	src/sip/info.c \
	src/sip/internal.h \
	src/sip/invite_in.c \
	src/sip/invite_out.c \
	src/sip/keep.c \
	src/sip/leg.c \
	src/sip/message.c \
	src/sip/named.c \
	src/sip/notify.c \
	src/sip/offer_in.c \
	src/sip/offer_out.c \
	src/sip/other.c \
	src/sip/peer.c \
	src/sip/progress.c \
	src/sip/qualify.c \
	src/sip/receive.c \
	src/sip/refer.c src/sip/refer.h \
	src/sip/refer_out.c \
	src/sip/register.c \
	src/sip/session.c \
	src/sip/session_timer.c \
	src/sip/sip.c src/sip/sip.h \
	src/sip/stack.h src/sip/stack_nta.c \
	src/sip/stray.c \
	src/sip/trace.c

include src/sip/text.mk
