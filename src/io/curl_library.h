/*
 * curl_library.h: libcurl, loaded when the first request needs it.
 *
 * libcurl brings some thirty libraries along, which costs a process several milliseconds before its
 * main() begins. Commands that ask for no URL don't pay that: the functions are looked up with
 * dlopen(3) instead. Only the transport (http_curl.h) uses it.
 */
#ifndef WI_CURL_LIBRARY_H
#define WI_CURL_LIBRARY_H

#include <curl/curl.h>

#include "error.h"

/* The checked macros of curl.h would name the functions that are not linked. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
#undef curl_share_setopt

#define WI_CURL_FUNCTIONS(X) \
    X(global_init)           \
    X(version_info)          \
    X(easy_init)             \
    X(easy_setopt)           \
    X(easy_getinfo)          \
    X(easy_cleanup)          \
    X(easy_pause)            \
    X(easy_strerror)         \
    X(multi_init)            \
    X(multi_setopt)          \
    X(multi_add_handle)      \
    X(multi_remove_handle)   \
    X(multi_socket_action)   \
    X(multi_info_read)       \
    X(multi_assign)          \
    X(multi_cleanup)         \
    X(share_init)            \
    X(share_setopt)          \
    X(share_cleanup)         \
    X(slist_append)          \
    X(slist_free_all)        \
    X(url)                   \
    X(url_set)               \
    X(url_get)               \
    X(free)                  \
    X(url_strerror)          \
    X(url_cleanup)

typedef struct wi_curl {
#define WI_CURL_MEMBER(name) __typeof__(curl_##name) *name;
    WI_CURL_FUNCTIONS(WI_CURL_MEMBER)
#undef WI_CURL_MEMBER
} wi_curl;

/* Loads and initialises libcurl once per process. Any thread. WEIR_UNSUPPORTED: it is not there or
 * too old. */
weir_status wi_curl_load(const wi_curl **out, weir_error *err);

#endif
