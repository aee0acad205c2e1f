/*
 * columns.h: the columns of a row that has some of its input and some of the kind's.
 *
 * A column of the input that bears the name of one of the kind's is called "input_NAME", and gets
 * another "input_" for as long as that is taken as well.
 */
#ifndef WI_COLUMNS_H
#define WI_COLUMNS_H

#include <stddef.h>

#include "error.h"
#include "schema.h"

/* First some of the kind's, then the input's (may be NULL: none), then the kind's others. The
 * caller owns one reference. */
weir_status wi_columns_join(const char *const *first, size_t first_len, const wi_schema *input,
                            const char *const *last, size_t last_len, wi_schema **out,
                            weir_error *err);

#endif
