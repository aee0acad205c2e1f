/*
 * help.h: the texts made from a command's table: the help that fits a screen, the long one, and
 * the man page. They hold nothing that the table does not.
 */
#ifndef HELP_H
#define HELP_H

#include <stdio.h>

#include "options.h"
#include "term.h"

/* One line per option, at most 80 columns. */
void help_short(FILE *out, const command *cmd, const term_style *style);

/* Everything, filled to `width` columns. */
void help_long(FILE *out, const command *cmd, const term_style *style, int width);

/* man(7) source of weir-NAME(1), or weir(1) of the program. */
void help_man(FILE *out, const command *cmd);

/* "-o, --output FILE"; with four spaces in place of a missing letter if `align`. */
void help_option_name(char *dst, size_t size, const option *o, bool align);

#endif
