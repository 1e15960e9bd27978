/* log: see log.h. */
#include "base/log.h"
ENUM_DEFINE(log_level, LOG_LEVEL_LIST)
ENUM_DEFINE(log_target, LOG_TARGET_LIST)
