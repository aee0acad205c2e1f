/* option_size.c: see option_size.h. */
#include "option_size.h"

#include <string.h>

weir_status wi_options_take(void *options, size_t size, const void *given, const char *name,
                            weir_error *err)
{
    size_t theirs;
    memcpy(&theirs, given, sizeof theirs);
    if (theirs < sizeof theirs || theirs > size)
        return wi_fail(err, WEIR_INVALID,
                       "%s.size is %zu, and not that of the structure: begin with its INIT macro",
                       name, theirs);
    memset(options, 0, size);
    memcpy(options, given, theirs);
    memcpy(options, &size, sizeof size);
    return WEIR_OK;
}
