/*
 * sqlite_library.h: SQLite, loaded when the first journal is opened.
 *
 * Most programs that link libweir keep no journal, and need not load a library for it: the
 * functions are looked up with dlopen(3). Only the journal uses it.
 */
#ifndef WI_SQLITE_LIBRARY_H
#define WI_SQLITE_LIBRARY_H

#include <sqlite3.h>

#include "error.h"

#define WI_SQLITE_FUNCTIONS(X) \
    X(libversion_number)       \
    X(threadsafe)              \
    X(initialize)              \
    X(open_v2)                 \
    X(close)                   \
    X(extended_result_codes)   \
    X(extended_errcode)        \
    X(system_errno)            \
    X(errmsg)                  \
    X(errstr)                  \
    X(db_readonly)             \
    X(db_config)               \
    X(progress_handler)        \
    X(exec)                    \
    X(prepare_v2)              \
    X(step)                    \
    X(reset)                   \
    X(finalize)                \
    X(bind_blob)               \
    X(bind_int64)              \
    X(bind_text)               \
    X(column_blob)             \
    X(column_bytes)            \
    X(column_int64)            \
    X(column_text)             \
    X(changes)                 \
    X(last_insert_rowid)

typedef struct wi_sqlite {
#define WI_SQLITE_MEMBER(name) __typeof__(sqlite3_##name) *name;
    WI_SQLITE_FUNCTIONS(WI_SQLITE_MEMBER)
#undef WI_SQLITE_MEMBER
} wi_sqlite;

/* Loads SQLite once per process. Any thread. WEIR_UNSUPPORTED: it is not there or too old. */
weir_status wi_sqlite_load(const wi_sqlite **out, weir_error *err);

#endif
