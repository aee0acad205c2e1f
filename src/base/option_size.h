/*
 * option_size.h: options of callers that were built with an older header than ours.
 */
#ifndef WI_OPTION_SIZE_H
#define WI_OPTION_SIZE_H

#include <stddef.h>

#include "error.h"

/*
 * Copies a structure of options, which begins with its size. What an older and therefore shorter
 * one lacks is zero; one that is longer than ours may ask for what we don't know, and is refused
 * with WEIR_INVALID, as is one without a size. `name` is that of its type.
 */
weir_status wi_options_take(void *options, size_t size, const void *given, const char *name,
                            weir_error *err);

#endif
