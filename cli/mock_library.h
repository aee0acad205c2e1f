/*
 * mock_library.h: libmicrohttpd, loaded when a mock is started.
 *
 * It brings GnuTLS and what that needs along, which would cost every command more than a
 * millisecond before its main() begins. So the functions are looked up with dlopen(3), and called
 * as mock_mhd.queue_response(...). Valid once mock_library_load has returned WEIR_OK.
 */
#ifndef CLI_MOCK_LIBRARY_H
#define CLI_MOCK_LIBRARY_H

#include <microhttpd.h>

#include "weir/error.h"

#define MOCK_MHD_FUNCTIONS(X)        \
    X(start_daemon)                  \
    X(stop_daemon)                   \
    X(run)                           \
    X(get_timeout)                   \
    X(get_daemon_info)               \
    X(get_connection_info)           \
    X(get_connection_values)         \
    X(lookup_connection_value)       \
    X(suspend_connection)            \
    X(resume_connection)             \
    X(create_response_from_buffer)   \
    X(create_response_from_callback) \
    X(add_response_header)           \
    X(queue_response)                \
    X(destroy_response)

typedef struct mock_mhd_table {
#define MOCK_MHD_MEMBER(name) __typeof__(MHD_##name) *name;
    MOCK_MHD_FUNCTIONS(MOCK_MHD_MEMBER)
#undef MOCK_MHD_MEMBER
} mock_mhd_table;

extern mock_mhd_table mock_mhd;

/* Loads the library once per process. Any thread. On failure `why` is one line of static text. */
weir_status mock_library_load(const char **why);

#endif
