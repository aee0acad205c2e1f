/*
 * fuzz_options.c: any words are a command line or refused with a printable line, and mean the same
 * when each option is written in its longest form; any text is a number with a unit, as slow exact
 * reading has it, or refused. The first byte chooses the command, or that the rest is one number;
 * words are parted by NULs.
 *
 * Options that read files are given no file's name.
 */
#include "fuzz.h"

#include "buf.h"
#include "cmd_scan.c" /* whose arguments own memory that only it can free */
#include "mock_text.h"

enum { MOST = 1024, WORDS = MOST + 80, WHY = 300, ARGS = 64 << 10 };

/* ---- numbers with units ---- */

/* The digits before and behind the point as one number, and ten to the power of the latter. */
typedef struct decimal {
    __int128 digits;
    __int128 scale;
    const char *rest;
} decimal;

static bool read_decimal(const char *text, decimal *d)
{
    size_t whole = strspn(text, "0123456789");
    *d = (decimal){.scale = 1, .rest = text + whole};
    size_t behind = *d->rest == '.' ? strspn(d->rest + 1, "0123456789") : 0;
    if (behind)
        d->rest += 1 + behind;
    if (!whole || d->rest - text > 15)
        return false; /* a double would not have it exactly */
    for (const char *at = text; at < d->rest; at++)
        if (*at != '.')
            d->digits = d->digits * 10 + (*at - '0');
    for (; behind; behind--)
        d->scale *= 10;
    return true;
}

static bool is_near(int64_t got, const decimal *d, int64_t unit)
{
    __int128 want = d->digits * unit; /* times scale */
    __int128 off = got * d->scale - want;
    /* half a unit for rounding, and what a double leaves out */
    __int128 slack = d->scale / 2 + 1 + (want >> 51);
    return off <= slack && -off <= slack;
}

static void check_number(const char *text)
{
    static const struct {
        const char *name;
        int64_t ns;
    } times[] = {{"", UNITS_SEC},         {"ns", 1},
                 {"us", UNITS_US},        {"ms", UNITS_MS},
                 {"s", UNITS_SEC},        {"m", 60 * UNITS_SEC},
                 {"h", 3600 * UNITS_SEC}, {"d", 86400 * UNITS_SEC},
                 {"min", 60 * UNITS_SEC}};
    units_text shown;
    decimal d;
    int64_t value = -7, again;
    double real = -7;
    bool exact = read_decimal(text, &d);
    if (units_parse_count(text, &value)) {
        CHECK(value >= 0 && strspn(text, "0123456789") == strlen(text));
        CHECK(!exact || value == d.digits);
    } else {
        CHECK(value == -7 && !(exact && !*d.rest && !strchr(text, '.')));
    }
    value = -7;
    bool is_time = units_parse_duration(text, &value);
    CHECK(is_time ? value >= 0 : value == -7);
    for (size_t i = 0; exact && d.scale <= 1000000 && i < sizeof times / sizeof *times; i++)
        if (strcmp(d.rest, times[i].name) == 0 && d.digits * times[i].ns < (__int128)1 << 62)
            CHECK(is_time && is_near(value, &d, times[i].ns));
    if (is_time && value < INT64_C(1) << 53)
        CHECK(units_parse_duration(units_duration(&shown, value), &again) && again == value);
    value = -7;
    bool is_size = units_parse_size(text, &value);
    CHECK(is_size ? value >= 0 : value == -7);
    if (is_size && value < INT64_C(1) << 53)
        CHECK(units_parse_size(units_size(&shown, value), &again) && again == value);
    if (exact && !*d.rest && d.digits < (__int128)1 << 62)
        CHECK(is_size && is_near(value, &d, 1));
    CHECK(units_parse_rate(text, &real) ? real >= 0 && real < 1e300 * 1e8 : real == -7);
    real = -7;
    CHECK(units_parse_percent(text, &real) ? real >= 0 && real <= 1 : real == -7);
    if (exact && strcmp(d.rest, "%") == 0)
        CHECK((real >= 0) == (d.digits <= 100 * d.scale));
}

/* ---- command lines ---- */

typedef struct line {
    char *words[WORDS];
    int len;
} line;

static void add(line *l, const char *before, const char *name, size_t name_len, const char *value)
{
    size_t size = strlen(before) + name_len + 1 + (value ? strlen(value) : 0) + 1;
    char *word = malloc(size);
    CHECK(word && l->len < WORDS);
    snprintf(word, size, "%s%.*s%s%s", before, (int)name_len, name, value ? "=" : "",
             value ? value : "");
    l->words[l->len++] = word;
}

static void drop(line *l)
{
    while (l->len)
        free(l->words[--l->len]);
}

static const option *find(const command *cmd, const char *name, size_t len, char letter)
{
    static const option help = {.name = "help", .kind = OPTION_FLAG};
    if (letter == 'h' || (len == 4 && memcmp(name, "help", 4) == 0))
        return &help;
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        if (o->kind == OPTION_KIND_GROUP)
            continue;
        const char *names[] = {o->name, o->alias};
        for (int i = 0; i < 2 && len; i++)
            if (names[i] && strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
                return o;
        if (letter && letter == o->letter)
            return o;
    }
    return NULL;
}

static bool takes_value(const option *o)
{
    return o->kind != OPTION_FLAG && o->kind != OPTION_TIMES;
}

/* One word of letters, "-qvj8" or "-qvj" "8"; false: what is wrong with it is said elsewhere. */
static bool spell_out(const command *cmd, const line *in, int *i, line *out)
{
    for (const char *at = in->words[*i] + 1; *at; at++) {
        const option *o = find(cmd, NULL, 0, *at);
        if (!o || (takes_value(o) && !at[1] && *i + 1 == in->len))
            return false;
        if (!takes_value(o)) {
            add(out, "--", o->name, strlen(o->name), NULL);
            continue;
        }
        add(out, "--", o->name, strlen(o->name), at[1] ? at + 1 : in->words[++*i]);
        return true;
    }
    return true;
}

/* The same line, each option as "--name" or "--name=value", and operands behind "--". */
static bool lengthen(const command *cmd, const line *in, line *out)
{
    line operands = {.len = 0};
    bool ended = false, fine = true;
    add(out, "", in->words[0], strlen(in->words[0]), NULL);
    for (int i = 1; i < in->len && fine; i++) {
        char *word = in->words[i];
        if (ended || word[0] != '-' || !word[1]) {
            add(&operands, "", word, strlen(word), NULL);
            ended = ended || cmd->operands_end_options;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
        } else if (word[1] != '-') {
            fine = spell_out(cmd, in, &i, out);
        } else {
            size_t len = strcspn(word + 2, "=");
            const option *o = find(cmd, word + 2, len, 0);
            bool more = o && takes_value(o) && !word[2 + len];
            fine = !more || i + 1 < in->len;
            if (more && fine)
                add(out, "--", o->name, strlen(o->name), in->words[++i]);
            else
                add(out, "", word, strlen(word), NULL);
        }
    }
    add(out, "--", "", 0, NULL);
    for (int i = 0; i < operands.len; i++)
        add(out, "", operands.words[i], strlen(operands.words[i]), NULL);
    drop(&operands);
    return fine;
}

/* Those that read a file, or keep what nobody but their command frees, set nothing here. */
static bool refuse_quietly(void *args, const char *value, char *why, size_t why_size)
{
    (void)args, (void)value, (void)why, (void)why_size;
    return true;
}

static command without_files(const command *cmd)
{
    static option options[200];
    size_t n = 0;
    command copy = *cmd;
    for (const option *o = cmd->options; o && o->kind != OPTION_KIND_END; o++) {
        CHECK(n + 1 < sizeof options / sizeof *options);
        CHECK(o->offset + sizeof(string_list) < ARGS);
        options[n] = *o;
        if (o->call == set_match_file || strncmp(o->name, "data", 4) == 0)
            options[n].call = refuse_quietly;
        n++;
    }
    options[n] = (option)OPTION_END;
    copy.options = options;
    return copy;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static void check_value(const option *o, const char *args)
{
    int64_t number;
    double real;
    int choice;
    memcpy(&number, args + o->offset, sizeof number);
    memcpy(&real, args + o->offset, sizeof real);
    memcpy(&choice, args + o->offset, sizeof choice);
    switch (o->kind) {
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        CHECK(!number || (o->word && number == o->word_value) ||
              (number >= o->min && (number <= o->max || !(o->min || o->max))));
        break;
    case OPTION_RATE:
        CHECK(real >= 0);
        break;
    case OPTION_PERCENT:
        CHECK(real >= 0 && real <= 1);
        break;
    case OPTION_CHOICE:
        for (int i = 0; i < choice; i++)
            CHECK(o->choices[i]);
        break;
    default:
        break;
    }
}

static void show_list(wi_buf *out, const char *args, size_t offset)
{
    const string_list *list = (const string_list *)(const void *)(args + offset);
    for (size_t i = 0; i < list->len; i++)
        wi_buf_printf(out, "\n  %s", list->items[i]);
}

/* What was set, as text. */
static void show(wi_buf *out, const command *cmd, const char *args)
{
    for (const option *o = cmd->options; o->kind != OPTION_KIND_END; o++) {
        size_t size = takes_value(o) && o->kind != OPTION_CHOICE ? sizeof(int64_t) : sizeof(int);
        const char *text;
        memcpy(&text, args + o->offset, sizeof text);
        if (o->kind == OPTION_KIND_GROUP || o->kind == OPTION_CALL)
            continue;
        check_value(o, args);
        wi_buf_printf(out, "\n%s ", o->name);
        if (o->kind == OPTION_STRING)
            wi_buf_puts(out, text ? text : "(none)");
        else if (o->kind == OPTION_LIST)
            show_list(out, args, o->offset);
        else
            wi_buf_append(out, args + o->offset, size);
    }
    if (cmd->takes_operands)
        show_list(out, args, cmd->operands_offset);
    if (strcmp(cmd->name, "scan") == 0) {
        show_list(out, args, offsetof(scan_args, patterns));
        wi_buf_puts(out, "\nselect");
        show_list(out, args, offsetof(scan_args, select));
    }
}

/* Reads a line, which is wiped in part. */
static options_result read_line(const command *cmd, line *l, wi_buf *shown)
{
    static _Alignas(16) char args[ARGS];
    char why[WHY] = "";
    memset(args, 0, sizeof args);
    options_result result = options_read(cmd, args, l->len, l->words, why, sizeof why);
    if (result == OPTIONS_BAD)
        CHECK(*why && is_printable(why) && mock_is_utf8(why, strlen(why)));
    if (result == OPTIONS_OK) {
        CHECK(!*why);
        show(shown, cmd, args);
    }
    options_free(cmd, args);
    if (strcmp(cmd->name, "scan") == 0)
        release((scan_args *)(void *)args);
    return result;
}

static void check_line(const command *real, const char *text, size_t len)
{
    line given = {.len = 0}, longer = {.len = 0};
    wi_buf a = WI_BUF_INIT, b = WI_BUF_INIT;
    const char *end = text + len;
    command cmd = without_files(real);
    add(&given, "", real->name, strlen(real->name), NULL);
    for (int i = 0; i < 32 && text < end; i++) {
        size_t n = strnlen(text, (size_t)(end - text));
        add(&given, "", text, n, NULL);
        text += n + 1;
    }
    bool known = lengthen(&cmd, &given, &longer);
    options_result result = read_line(&cmd, &given, &a);
    options_result again = read_line(&cmd, &longer, &b);
    /* of "--help" and an error the first ends reading, and their order may have changed */
    CHECK((result == OPTIONS_OK) == (known && again == OPTIONS_OK));
    if (result == OPTIONS_OK)
        CHECK(a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0));
    wi_buf_fini(&a);
    wi_buf_fini(&b);
    drop(&given);
    drop(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const command *const all[] = {&cmd_fetch, &cmd_scan, &cmd_exec, &cmd_mock, &program};
    if (size == 0 || size > MOST)
        return 0;
    size_t which = data[0] % 8;
    if (which < sizeof all / sizeof *all) {
        check_line(all[which], (const char *)data + 1, size - 1);
        return 0;
    }
    char text[MOST];
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    check_number(text);
    return 0;
}
