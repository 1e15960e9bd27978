# core: pure call control. Links with base alone; the simulator proves it.
noinst_LIBRARIES += libcore.a
libcore_a_SOURCES = \
	src/core/acd.h \
	src/core/action.h \
	src/core/agent.c \
	src/core/bridge.c \
	src/core/call.c \
	src/core/chain.c \
	src/core/config.h \
	src/core/consult.c \
	src/core/consult.h \
	src/core/core.c \
	src/core/core.h \
	src/core/dialplan.c \
	src/core/dialplan.h \
	src/core/directory.c \
	src/core/ears.c \
	src/core/event.h \
	src/core/fact.c \
	src/core/fact.h \
	src/core/graph.c \
	src/core/graph.h \
	src/core/inner.h \
	src/core/leg.c \
	src/core/numbers.c \
	src/core/numbers.h \
	src/core/offer.c \
	src/core/order.c \
	src/core/order.h \
	src/core/policy.c \
	src/core/presence.c \
	src/core/presence.h \
	src/core/queue.c \
	src/core/recording.c \
	src/core/roster.c \
	src/core/segment.c \
	src/core/snapshot.c \
	src/core/strategy.c \
	src/core/strategy.h \
	src/core/target.c \
	src/core/transfer.c \
	src/core/transfer.tbl \
	src/core/types.c \
	src/core/types.h \
	src/core/verbs.c \
	src/core/verbs.h \
	src/core/view.c
