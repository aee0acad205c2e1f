/* completion.h: shell completions made from the commands' tables. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include <stdio.h>

void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);

#endif
