/*
 * template_command.h: what is done to a value after it was put into a command; for template*.c
 * only.
 */
#ifndef WI_TEMPLATE_COMMAND_H
#define WI_TEMPLATE_COMMAND_H

#include "template_internal.h"

/* Leaves of what was appended since `from` only the part that is meant. */
void wi_template_cut(wi_buf *out, size_t from, wi_part part);

/* Puts what was appended since `from` into single quotes, so that a POSIX shell takes it for one
 * word whatever it holds (POSIX.1-2017, Shell Command Language, 2.2.2). */
void wi_template_quote(wi_buf *out, size_t from);

#endif
