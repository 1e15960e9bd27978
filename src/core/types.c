/* types: the name tables of the vocabulary. */
#include "core/core.h"

ENUM_DEFINE(target_kind, TARGET_KIND_LIST)
ENUM_DEFINE(source_kind, SOURCE_KIND_LIST)
ENUM_DEFINE(origin, ORIGIN_LIST)
ENUM_DEFINE(dir, DIR_LIST)
ENUM_DEFINE(sdp_what, SDP_WHAT_LIST)
ENUM_DEFINE(dest_kind, DEST_KIND_LIST)
ENUM_DEFINE(ev, EVENT_LIST)
ENUM_DEFINE(timer_kind, TIMER_LIST)
ENUM_DEFINE(act, ACTION_LIST)
ENUM_DEFINE(sdp_dir, SDP_DIR_LIST)
ENUM_DEFINE(fallback_kind, FALLBACK_KIND_LIST)
