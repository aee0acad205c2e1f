/* help.c: the texts made from a command's table. Terminal and man page walk the same fields in the
 * same order; they differ only in how a paragraph is set. */
#include "help.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "weir/version.h"

#define TEXT_COLUMN 31 /* where the short help's texts begin */
#define LONG_INDENT 8

void help_option_name(char *dst, size_t size, const option *o, bool align)
{
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(dst, size, "%s--%s%s%s", o->letter || !align ? letter : "    ", o->name,
             o->arg ? " " : "", o->arg ? o->arg : "");
}

/* What the table says of an option beyond its texts. */
static void print_facts(FILE *out, const option *o)
{
    if (o->kind == OPTION_CHOICE) {
        fputs(" One of", out);
        for (int i = 0; o->choices[i]; i++)
            fprintf(out, "%s `%s`", i ? "," : "", o->choices[i]);
        fputc('.', out);
    }
    if (o->kind == OPTION_LIST || o->kind == OPTION_TIMES)
        fputs(" May be given several times.", out);
    if (o->negatable)
        fprintf(out, " `--no-%s` undoes it.", o->name);
    if (o->alias)
        fprintf(out, " `--%s` is the same.", o->alias);
}

/* An option's paragraph: its help as a sentence, what else there is to say, and the facts. */
static char *option_text(const option *o, char *dst, size_t size)
{
    FILE *out = fmemopen(dst, size, "w");
    dst[0] = '\0';
    if (!out)
        return dst;
    fprintf(out, "%c%s.", toupper((unsigned char)o->help[0]), o->help + 1);
    if (o->more)
        fprintf(out, " %s", o->more);
    print_facts(out, o);
    fclose(out);
    dst[size - 1] = '\0';
    return dst;
}

static void print_commands(FILE *out, const term_style *style)
{
    fprintf(out, "%sCommands%s\n", style->bold, style->reset);
    for (const command *const *c = commands; *c; c++)
        if (!(*c)->hidden)
            fprintf(out, "  %s%-12s%s %s\n", style->bold, (*c)->name, style->reset, (*c)->summary);
}

void help_short(FILE *out, const command *cmd, const term_style *style)
{
    char title[COMMAND_TITLE_SIZE], name[64];
    int rare = 0;
    command_title(title, cmd);
    fprintf(out, "%s%s%s: %s\n%sUsage%s  %s %s\n", style->bold, title, style->reset, cmd->summary,
            style->bold, style->reset, title, cmd->usage);
    for (int i = 0; i < 2 && cmd->examples && cmd->examples[i].line; i++)
        fprintf(out, "%s%s%s%s\n", i ? "       " : "e.g.   ", style->dim, cmd->examples[i].line,
                style->reset);
    if (!*cmd->name)
        print_commands(out, style);
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (o->kind == OPTION_KIND_GROUP) {
            fprintf(out, "%s%s%s\n", style->bold, o->name, style->reset);
            continue;
        }
        rare += o->rare;
        if (o->rare)
            continue;
        help_option_name(name, sizeof name, o, true);
        fprintf(out, "  %-*s %s\n", TEXT_COLUMN - 3, name, o->help);
    }
    if (rare)
        fprintf(out, "%sweir help %s%s says more, with examples and %d rarer options.\n",
                style->bold, cmd->name, style->reset, rare);
    else if (*cmd->name)
        fprintf(out, "%sweir help %s%s says more, with examples.\n", style->bold, cmd->name,
                style->reset);
    else
        fprintf(out, "%sweir help COMMAND%s says more of one.\n", style->bold, style->reset);
}

/* Columns of text without the backticks that mark code. */
static int word_columns(const char *word, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++)
        n += word[i] != '`' && ((unsigned char)word[i] & 0xc0) != 0x80;
    return n;
}

static void put_word(FILE *out, const char *word, size_t len, const term_style *style, bool *code)
{
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '`') {
            *code = !*code;
            fputs(*code ? style->bold : style->reset, out);
        } else {
            fputc(word[i], out);
        }
    }
}

/* Sets one paragraph, without its line breaks, in lines of at most `width` columns. */
static void fill_paragraph(FILE *out, const char *text, size_t len, int indent, int width,
                           const term_style *style)
{
    bool code = false;
    int column = 0;
    for (size_t i = 0; i < len;) {
        size_t end = i;
        while (end < len && text[end] != ' ' && text[end] != '\n')
            end++;
        int columns = word_columns(text + i, end - i);
        if (column && column + 1 + columns > width) {
            fputc('\n', out);
            column = 0;
        }
        if (columns || end > i)
            column += fprintf(out, "%*s", column ? 1 : indent, "") + columns;
        put_word(out, text + i, end - i, style, &code);
        for (i = end; i < len && (text[i] == ' ' || text[i] == '\n'); i++)
            ;
    }
    fputc('\n', out);
}

/* What a text is made of, one piece at a time: NULL at its end. */
typedef struct text_piece {
    const char *start;
    size_t len;
    bool verbatim; /* one line that stays as it is */
    bool parted;   /* an empty line stood before it */
} text_piece;

static bool next_piece(const char **text, text_piece *piece)
{
    const char *s = *text;
    piece->parted = false;
    for (; *s == '\n'; s++)
        piece->parted = true;
    if (!*s)
        return false;
    piece->start = s;
    piece->verbatim = *s == ' ';
    do {
        s += strcspn(s, "\n");
        piece->len = (size_t)(s - piece->start);
        if (*s)
            s++;
    } while (!piece->verbatim && *s && *s != '\n' && *s != ' ');
    *text = s;
    return true;
}

static void fill_text(FILE *out, const char *text, int indent, int width, const term_style *style)
{
    text_piece piece;
    for (bool first = true; next_piece(&text, &piece); first = false) {
        if (piece.parted && !first)
            fputc('\n', out);
        if (piece.verbatim)
            fprintf(out, "%*s%.*s\n", indent, "", (int)piece.len, piece.start);
        else
            fill_paragraph(out, piece.start, piece.len, indent, width, style);
    }
}

static void print_heading(FILE *out, const char *heading, const term_style *style)
{
    fprintf(out, "\n%s%s%s\n", style->bold, heading, style->reset);
}

void help_long(FILE *out, const command *cmd, const term_style *style, int width)
{
    char title[COMMAND_TITLE_SIZE], name[96], text[2048];
    command_title(title, cmd);
    fprintf(out, "%s%s%s: %s\n\n%sUsage%s  %s %s\n\n", style->bold, title, style->reset,
            cmd->summary, style->bold, style->reset, title, cmd->usage);
    fill_text(out, cmd->about, 0, width, style);
    if (!*cmd->name) {
        fputc('\n', out);
        print_commands(out, style);
    }
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (o->kind == OPTION_KIND_GROUP) {
            print_heading(out, o->name, style);
            continue;
        }
        help_option_name(name, sizeof name, o, false);
        fprintf(out, "  %s%s%s\n", style->bold, name, style->reset);
        fill_text(out, option_text(o, text, sizeof text), LONG_INDENT, width, style);
    }
    for (const command_section *s = cmd->sections; s && s->heading; s++) {
        print_heading(out, s->heading, style);
        fill_text(out, s->text, 2, width, style);
    }
    if (cmd->examples)
        print_heading(out, "Examples", style);
    for (const command_example *e = cmd->examples; e && e->line; e++)
        fprintf(out, "  %s# %s%s\n  %s\n", style->dim, e->what, style->reset, e->line);
}

/* One byte of roff text that must come out as it is. */
static void roff_byte(FILE *out, char c)
{
    static const struct {
        char c;
        const char *roff;
    } special[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"},
                   {'^', "\\(ha"}, {'~', "\\(ti"}, {'"', "\\(dq"}};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        if (c == special[i].c) {
            fputs(special[i].roff, out);
            return;
        }
    }
    fputc(c, out);
}

/* A stretch of text: a line may not begin with a control character. Where it is to be filled, code
 * in backticks becomes bold, and each sentence begins a line, as man pages have it. */
static void roff_text(FILE *out, const char *text, size_t len, bool filled)
{
    bool code = false, begins = true;
    int column = 0;
    for (size_t i = 0; i < len; i++) {
        if (filled && text[i] == '`') {
            code = !code;
            fputs(code ? "\\fB" : "\\fR", out);
            column += 3;
        } else if (filled && (text[i] == ' ' || text[i] == '\n')) {
            begins = column > 60 || (i > 0 && strchr(".?", text[i - 1]));
            fputc(begins ? '\n' : ' ', out);
            column = begins ? 0 : column + 1;
            continue;
        } else {
            if (begins && (text[i] == '.' || text[i] == '\''))
                fputs("\\&", out);
            roff_byte(out, text[i]);
            column++;
        }
        begins = false;
    }
}

static void roff_string(FILE *out, const char *text)
{
    roff_text(out, text, strlen(text), false);
}

/* The same with a capital. */
static void roff_sentence(FILE *out, const char *text)
{
    fputc(toupper((unsigned char)*text), out);
    roff_string(out, text + 1);
}

static void roff_paragraphs(FILE *out, const char *text)
{
    text_piece piece;
    bool verbatim = false;
    for (bool first = true; next_piece(&text, &piece); first = false) {
        if (verbatim && !piece.verbatim)
            fputs(".fi\n", out);
        if (piece.parted && !first)
            fputs(".PP\n", out);
        if (piece.verbatim && !verbatim)
            fputs(".nf\n", out);
        verbatim = piece.verbatim;
        roff_text(out, piece.start, piece.len, !verbatim);
        fputc('\n', out);
    }
    if (verbatim)
        fputs(".fi\n", out);
}

static void roff_heading(FILE *out, const char *macro, const char *text, bool capitals)
{
    fprintf(out, ".%s ", macro);
    for (; *text; text++)
        roff_byte(out, capitals ? (char)toupper((unsigned char)*text) : *text);
    fputc('\n', out);
}

static void roff_option(FILE *out, const option *o)
{
    char text[2048];
    fputs(".TP\n", out);
    if (o->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", out);
    roff_string(out, o->name);
    fputs("\\fR", out);
    if (o->arg) {
        fputs(" \\fI", out);
        roff_string(out, o->arg);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    roff_paragraphs(out, option_text(o, text, sizeof text));
}

static void roff_page_name(FILE *out, const command *cmd, bool capitals)
{
    fputs(capitals ? "WEIR" : "weir", out);
    if (*cmd->name)
        roff_byte(out, '-');
    for (const char *s = cmd->name; *s; s++)
        roff_byte(out, capitals ? (char)toupper((unsigned char)*s) : *s);
}

static void roff_options(FILE *out, const command *cmd)
{
    if (!cmd->options)
        return;
    fputs(".SH OPTIONS\n", out);
    for (const option *o = cmd->options; o->kind != OPTION_KIND_END; o++) {
        if (o->kind != OPTION_KIND_GROUP)
            roff_option(out, o);
        else if (strcmp(o->name, "Options") != 0) /* the section is called that already */
            roff_heading(out, "SS", o->name, false);
    }
}

static void roff_commands(FILE *out)
{
    fputs(".SH COMMANDS\n", out);
    for (const command *const *c = commands; *c; c++) {
        if ((*c)->hidden)
            continue;
        fprintf(out, ".TP\n\\fB%s\\fR\n", (*c)->name);
        roff_sentence(out, (*c)->summary);
        fputs(".\n", out);
    }
}

static void roff_examples(FILE *out, const command *cmd)
{
    if (!cmd->examples)
        return;
    fputs(".SH EXAMPLES\n", out);
    for (const command_example *e = cmd->examples; e->line; e++) {
        if (e != cmd->examples)
            fputs(".PP\n", out);
        roff_sentence(out, e->what);
        fputs(":\n.RS 4\n.PP\n.nf\n", out);
        roff_string(out, e->line);
        fputs("\n.fi\n.RE\n", out);
    }
}

static void roff_see_also(FILE *out, const command *cmd)
{
    const char *comma = "";
    fputs(".SH SEE ALSO\n", out);
    if (*cmd->name) {
        fputs(".BR weir (1)", out);
        comma = ",\n";
    }
    for (const command *const *c = commands; *c; c++) {
        if (!(*c)->man || *c == cmd)
            continue;
        fprintf(out, "%s.BR ", comma);
        roff_page_name(out, *c, false);
        fputs(" (1)", out);
        comma = ",\n";
    }
    if (!*cmd->name)
        fprintf(out, "%s.BR libweir (3)", comma);
    fputc('\n', out);
}

void help_man(FILE *out, const command *cmd)
{
    fputs(".TH ", out);
    roff_page_name(out, cmd, true);
    fprintf(out, " 1 %s \"weir %s\" \"Weir\"\n.SH NAME\n", MANUALS_DATE, weir_version());
    roff_page_name(out, cmd, false);
    fputs(" \\- ", out);
    roff_string(out, cmd->summary);
    fputs("\n.SH SYNOPSIS\n\\fBweir", out);
    fprintf(out, "%s%s\\fR\n", *cmd->name ? " " : "", cmd->name);
    roff_string(out, cmd->usage);
    fputs("\n.SH DESCRIPTION\n", out);
    roff_paragraphs(out, cmd->about);
    if (!*cmd->name)
        roff_commands(out);
    roff_options(out, cmd);
    for (const command_section *s = cmd->sections; s && s->heading; s++) {
        roff_heading(out, "SH", s->heading, true);
        roff_paragraphs(out, s->text);
    }
    roff_examples(out, cmd);
    roff_see_also(out, cmd);
}
