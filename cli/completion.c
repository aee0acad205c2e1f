/* completion.c: one walk over the tables per shell. Whatever comes from a table stands in single
 * quotes; names and choices are plain words. */
#include "completion.h"

#include <stdbool.h>
#include <string.h>

#include "options.h"

static bool is_option(const option *o)
{
    return o->kind != OPTION_KIND_GROUP;
}

/* Does its value name a file? */
static bool takes_path(const option *o)
{
    return o->arg && (strstr(o->arg, "FILE") || strstr(o->arg, "DIR"));
}

/* Text inside single quotes: those in it are closed, escaped and opened again. */
static void put_quoted(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
}

static void put_command_names(FILE *out, const char *between)
{
    const char *sep = "";
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden)
            continue;
        fprintf(out, "%s%s", sep, (*c)->name);
        sep = between;
    }
}

static void put_choices(FILE *out, const option *o)
{
    for (int i = 0; o->choices[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", o->choices[i]);
}

static bool takes_free_text(const option *o)
{
    return o->arg && o->kind != OPTION_CHOICE && !takes_path(o);
}

/* The names of an option as one alternative of a case. */
static void bash_pattern(FILE *out, const option *o, const char *before)
{
    fprintf(out, "%s--%s", before, o->name);
    if (o->letter)
        fprintf(out, "|-%c", o->letter);
    if (o->alias)
        fprintf(out, "|--%s", o->alias);
}

/* One case for all options whose values are of a sort. */
static void bash_sort(FILE *out, const command *cmd, bool (*is_sort)(const option *),
                      const char *action)
{
    bool any = false;
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (is_option(o) && is_sort(o)) {
            bash_pattern(out, o, any ? "|" : "        ");
            any = true;
        }
    }
    fputs(any ? action : "", out);
}

static void bash_values(FILE *out, const command *cmd)
{
    fputs("        case $prev in\n", out);
    bash_sort(out, cmd, takes_path, ") return ;;\n");
    bash_sort(out, cmd, takes_free_text, ") compopt +o default; return ;;\n");
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (o->kind == OPTION_CHOICE) {
            bash_pattern(out, o, "        ");
            fputs(") words='", out);
            put_choices(out, o);
            fputs("' ;;\n", out);
        }
    }
    fputs("        *) words='--help", out);
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (is_option(o))
            fprintf(out, " --%s", o->name);
        if (is_option(o) && o->negatable)
            fprintf(out, " --no-%s", o->name);
    }
    fputs("'\n            [[ $cur == -* ]] || return ;;\n        esac ;;\n", out);
}

void completion_bash(FILE *out)
{
    fputs("# bash completion for weir: source it, or install it as completions/weir\n"
          "_weir()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    COMPREPLY=()\n"
          "    if [[ $cur == '=' ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == '=' ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n        words='",
          out);
    put_command_names(out, " ");
    fputs(" --help --version'\n    else\n        case ${COMP_WORDS[1]} in\n        help) words='",
          out);
    put_command_names(out, " ");
    fputs(" --man --help' ;;\n", out);
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden || strcmp((*c)->name, "help") == 0)
            continue;
        fprintf(out, "        %s)\n", (*c)->name);
        if ((*c)->words)
            fprintf(out, "        words='%s --help' ;;\n", (*c)->words);
        else
            bash_values(out, *c);
    }
    fputs("        esac\n    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -o default -F _weir weir\n",
          out);
}

/* Text inside an _arguments specification, where brackets and colons mean something. */
static void put_zsh(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("[]:\\", *text))
            fputc('\\', out);
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
}

/* What _arguments is to do for the option's value. */
static void zsh_value(FILE *out, const option *o)
{
    if (!o->arg)
        return;
    fputc(':', out);
    put_zsh(out, o->arg);
    fputc(':', out);
    if (o->kind == OPTION_CHOICE) {
        fputc('(', out);
        put_choices(out, o);
        fputc(')', out);
    } else if (takes_path(o)) {
        fputs("_files", out);
    }
}

static void zsh_option(FILE *out, const option *o)
{
    const char *many = o->kind == OPTION_LIST || o->kind == OPTION_TIMES ? "*" : "";
    fprintf(out, "        '%s--%s%s[", many, o->name, o->arg ? "=" : "");
    put_zsh(out, o->help);
    fputc(']', out);
    zsh_value(out, o);
    fputs("' \\\n", out);
    if (o->letter) {
        fprintf(out, "        '%s-%c%s[", many, o->letter, o->arg ? "+" : "");
        put_zsh(out, o->help);
        fputc(']', out);
        zsh_value(out, o);
        fputs("' \\\n", out);
    }
    if (o->negatable)
        fprintf(out, "        '--no-%s[undo --%s]' \\\n", o->name, o->name);
}

void completion_zsh(FILE *out)
{
    fputs("#compdef weir\n# zsh completion for weir: install it as _weir in a folder of $fpath\n"
          "_weir()\n{\n    local -a names\n    names=(\n",
          out);
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden)
            continue;
        fprintf(out, "        '%s:", (*c)->name);
        put_zsh(out, (*c)->summary);
        fputs("'\n", out);
    }
    fputs("    )\n    if ((CURRENT == 2)); then\n        _describe command names\n        return\n"
          "    fi\n    local name=$words[2]\n    shift words\n    ((CURRENT--))\n"
          "    case $name in\n",
          out);
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden)
            continue;
        fprintf(out, "    %s)\n        _arguments -s -S \\\n", (*c)->name);
        for (const option *o = (*c)->options; o && o->kind != OPTION_KIND_END; o++)
            if (is_option(o))
                zsh_option(out, o);
        fputs("        '(-h --help)'{-h,--help}'[print help]'", out);
        if (strcmp((*c)->name, "help") == 0) {
            fputs(" \\\n        ':command:(", out);
            put_command_names(out, " ");
            fputs(")'", out);
        } else if ((*c)->words) {
            fprintf(out, " \\\n        ':word:(%s)'", (*c)->words);
        } else if ((*c)->takes_operands) {
            fputs(" \\\n        '*: :'", out);
        }
        fputs("\n        ;;\n", out);
    }
    fputs("    esac\n}\nif [ \"$funcstack[1]\" = _weir ]; then\n    _weir \"$@\"\nelse\n"
          "    compdef _weir weir\nfi\n",
          out);
}

static void fish_option(FILE *out, const command *cmd, const option *o)
{
    fprintf(out, "complete -c weir -n '__fish_seen_subcommand_from %s' -l %s", cmd->name, o->name);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    if (o->arg)
        fputs(takes_path(o) ? " -r -F" : " -x", out);
    if (o->kind == OPTION_CHOICE) {
        fputs(" -a '", out);
        put_choices(out, o);
        fputc('\'', out);
    }
    fputs(" -d '", out);
    put_quoted(out, o->help);
    fputs("'\n", out);
    if (o->negatable)
        fprintf(out,
                "complete -c weir -n '__fish_seen_subcommand_from %s' -l no-%s -d 'undo --%s'\n",
                cmd->name, o->name, o->name);
}

void completion_fish(FILE *out)
{
    fputs("# fish completion for weir: install it as completions/weir.fish\n"
          "complete -c weir -f\n",
          out);
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden)
            continue;
        fprintf(out, "complete -c weir -n __fish_use_subcommand -a %s -d '", (*c)->name);
        put_quoted(out, (*c)->summary);
        fputs("'\n", out);
    }
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden)
            continue;
        for (const option *o = (*c)->options; o && o->kind != OPTION_KIND_END; o++)
            if (is_option(o))
                fish_option(out, *c, o);
        fprintf(out,
                "complete -c weir -n '__fish_seen_subcommand_from %s' -l help -s h -d 'print "
                "help'\n",
                (*c)->name);
        if ((*c)->words)
            fprintf(out, "complete -c weir -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                    (*c)->name, (*c)->words);
    }
    fputs("complete -c weir -n '__fish_seen_subcommand_from help' -a '", out);
    put_command_names(out, " ");
    fputs("'\n", out);
}
