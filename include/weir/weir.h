/*
 * weir/weir.h: all of libweir's public interface.
 *
 * The headers are plain C99 and also compile as C++. Types are opaque unless their fields are
 * listed; strings are UTF-8 and terminated unless a length stands beside them.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include "weir/channel.h"
#include "weir/error.h"
#include "weir/exec.h"
#include "weir/executor.h"
#include "weir/fetch.h"
#include "weir/fiber.h"
#include "weir/future.h"
#include "weir/group.h"
#include "weir/job.h"
#include "weir/map.h"
#include "weir/options.h"
#include "weir/scan.h"
#include "weir/version.h"
#include "weir/wait.h"

#endif
