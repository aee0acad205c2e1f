/* options_test.c: command lines against a small table, and the texts of every command's table. */
#include "options.h"

#include <stdlib.h>
#include <unistd.h>

#include "help.h"
#include "job_args.h"
#include "term.h"
#include "test.h"
#include "units.h"

/* clang-format off */
static const option job_run_options[] = {JOB_OPTIONS_RUN, OPTION_END};
/* clang-format on */

typedef struct nap_args {
    int64_t latency;
    int64_t times;
    int64_t space;
    double rate;
    double errors;
    int loud;
    int fast;
    int turns;
    int mode;
    const char *name;
    const char *password;
    string_list notes;
    string_list operands;
    int called;
} nap_args;

static bool set_even(void *args, const char *value, char *why, size_t why_size)
{
    if ((value[strlen(value) - 1] - '0') % 2) {
        snprintf(why, why_size, "is odd");
        return false;
    }
    ((nap_args *)args)->called++;
    return true;
}

static const char *const modes[] = {"light", "deep", "none", NULL};

#define AT(field) .offset = offsetof(nap_args, field)
/* clang-format off */
static const option nap_options[] = {
    OPTION_GROUP("Sleeping"),
    {.name = "latency", .letter = 'l', .arg = "TIME", .kind = OPTION_DURATION, AT(latency),
     .min = UNITS_MS, .max = 60 * UNITS_SEC, .word = "none", .word_value = -1, .help = "how long"},
    {.name = "times", .letter = 't', .arg = "N", .kind = OPTION_COUNT, AT(times), .max = 9,
     .help = "how often"},
    {.name = "space", .arg = "SIZE", .kind = OPTION_SIZE, AT(space), .help = "how wide"},
    {.name = "rate", .arg = "RATE", .kind = OPTION_RATE, AT(rate), .help = "how fast"},
    {.name = "errors", .arg = "PERCENT", .kind = OPTION_PERCENT, AT(errors), .help = "how bad"},
    {.name = "loud", .letter = 'L', .kind = OPTION_FLAG, AT(loud), .negatable = true,
     .help = "snore"},
    {.name = "fast", .letter = 'f', .kind = OPTION_FLAG, AT(fast), .help = "asleep"},
    {.name = "turn", .letter = 'r', .kind = OPTION_TIMES, AT(turns), .help = "over"},
    {.name = "mode", .arg = "MODE", .kind = OPTION_CHOICE, AT(mode), .choices = modes,
     .help = "what kind"},
    {.name = "name", .letter = 'n', .alias = "call", .arg = "TEXT", .kind = OPTION_STRING,
     AT(name), .help = "whose"},
    {.name = "password", .letter = 'p', .arg = "TEXT", .kind = OPTION_STRING, AT(password),
     .secret = true, .help = "hush"},
    {.name = "secret-times", .arg = "N", .kind = OPTION_COUNT, AT(times), .secret = true,
     .help = "hush"},
    {.name = "note", .arg = "TEXT", .kind = OPTION_LIST, AT(notes), .help = "remarks"},
    {.name = "even", .arg = "N", .kind = OPTION_CALL, .call = set_even, .help = "even only"},
    OPTION_END,
};
/* clang-format on */

static const command nap = {
    .name = "nap",
    .summary = "sleep a little",
    .usage = "[OPTION]... [BED]...",
    .about = "Sleeps.",
    .options = nap_options,
    .operands_offset = offsetof(nap_args, operands),
    .takes_operands = true,
};

static nap_args got;
static char why[512];
static char words[24][64];

static void forget(void)
{
    options_free(&nap, &got);
    got = (nap_args){0};
    why[0] = '\0';
}

/* Reads the words, up to a NULL, as a command line. */
static options_result read_words(const command *cmd, const char *const *list)
{
    char *argv[24] = {words[0]};
    int argc = 1;
    forget();
    for (; *list; list++, argc++) {
        snprintf(words[argc], sizeof words[argc], "%s", *list);
        argv[argc] = words[argc];
    }
    return options_read(cmd, &got, argc, argv, why, sizeof why);
}

#define READ(...) read_words(&nap, (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_REFUSED(text, ...)                 \
    do {                                          \
        EXPECT(READ(__VA_ARGS__) == OPTIONS_BAD); \
        EXPECT_STR(why, text);                    \
    } while (0)

TEST(counts_how_often)
{
    EXPECT(READ("-rr", "--turn", "-fr") == OPTIONS_OK);
    EXPECT_INT(got.turns, 4);
    EXPECT_INT(got.fast, 1);
    EXPECT(READ("--fast") == OPTIONS_OK);
    EXPECT_INT(got.turns, 0);
    EXPECT_REFUSED("--turn takes no value", "--turn=3");
    EXPECT_REFUSED("unknown option \"--no-turn\"", "--no-turn");
}

TEST(takes_values_in_every_form)
{
    EXPECT(READ("--latency", "5s") == OPTIONS_OK);
    EXPECT_INT(got.latency, 5 * UNITS_SEC);
    EXPECT(READ("--latency=250ms", "-t", "3") == OPTIONS_OK);
    EXPECT_INT(got.latency, 250 * UNITS_MS);
    EXPECT_INT(got.times, 3);
    EXPECT(READ("-l2s", "-t3") == OPTIONS_OK);
    EXPECT_INT(got.latency, 2 * UNITS_SEC);
    EXPECT(READ("--name=", "--space=4K", "--rate", "30/m", "--errors", "5%") == OPTIONS_OK);
    EXPECT_STR(got.name, "");
    EXPECT_INT(got.space, 4096);
    EXPECT(got.rate == 0.5);
    EXPECT(got.errors == 0.05);
    EXPECT(READ("--name=a=b", "--mode", "deep", "--call", "c") == OPTIONS_OK);
    EXPECT_INT(got.mode, 1);
    EXPECT_STR(got.name, "c");
    EXPECT(READ("--latency", "none", "--even", "4") == OPTIONS_OK);
    EXPECT_INT(got.latency, -1);
    EXPECT_INT(got.called, 1);
    forget();
}

TEST(takes_flags_alone_and_in_clusters)
{
    EXPECT(READ("-Lf") == OPTIONS_OK);
    EXPECT(got.loud == 1 && got.fast == 1);
    EXPECT(READ("-Lfl5s") == OPTIONS_OK);
    EXPECT(got.loud == 1 && got.fast == 1);
    EXPECT_INT(got.latency, 5 * UNITS_SEC);
    EXPECT(READ("-fn", "-x") == OPTIONS_OK);
    EXPECT_STR(got.name, "-x");
    EXPECT(READ("--loud", "--no-loud") == OPTIONS_OK);
    EXPECT_INT(got.loud, 0);
    forget();
}

TEST(keeps_lists_and_operands_in_order)
{
    EXPECT(READ("a", "--note", "1", "-", "--note=2", "--", "--loud", "--") == OPTIONS_OK);
    REQUIRE(got.operands.len == 4 && got.notes.len == 2);
    EXPECT_STR(got.operands.items[0], "a");
    EXPECT_STR(got.operands.items[1], "-");
    EXPECT_STR(got.operands.items[2], "--loud");
    EXPECT_STR(got.operands.items[3], "--");
    EXPECT_STR(got.notes.items[1], "2");
    EXPECT_INT(got.loud, 0);
    forget();
}

TEST(counts_the_last_of_a_repeated_option)
{
    EXPECT(READ("-t1", "-t2", "--times=3") == OPTIONS_OK);
    EXPECT_INT(got.times, 3);
    forget();
}

TEST(asks_for_help_before_anything_else_is_wrong)
{
    EXPECT(READ("--help", "--nonsense") == OPTIONS_HELP);
    EXPECT(READ("-fh") == OPTIONS_HELP);
    forget();
}

TEST(names_the_unknown_option_and_the_likely_one)
{
    EXPECT_REFUSED("unknown option \"--latncy\"; did you mean \"--latency\"?", "--latncy=3");
    EXPECT_REFUSED("unknown option \"--lat\"; did you mean \"--latency\"?", "--lat");
    EXPECT_REFUSED("unknown option \"--naem\"; did you mean \"--name\"?", "--naem");
    EXPECT_REFUSED("unknown option \"--zzzzzz\"", "--zzzzzz");
    EXPECT_REFUSED("unknown option \"--no-fast\"", "--no-fast");
    EXPECT_REFUSED("unknown option \"-z\"", "-fz");
    EXPECT_REFUSED("unknown option \"-\\xc3\"", "-\xc3\xa9");
    EXPECT_REFUSED("unknown option \"--\\x1b[31m\"", "--\x1b[31m");
    forget();
}

TEST(says_what_a_value_should_be)
{
    EXPECT_REFUSED("--latency: \"5x\" is no time; write 250ms, 5s, 2m or 1h or none", "-l5x");
    EXPECT_REFUSED("--latency: \"2m\" is out of range; it can be from 1ms to 1m or none", "-l",
                   "2m");
    EXPECT_REFUSED("--times: \"10\" is out of range; it can be from 0 to 9", "-t10");
    EXPECT_REFUSED("--times: \"-1\" is no number; write digits, such as 10", "-t", "-1");
    EXPECT_REFUSED("--rate: \"0/s\" is no rate to work at; it must be more than 0", "--rate=0/s");
    EXPECT_REFUSED("--errors: \"5\" is no percentage; write 0% to 100%, such as 5%", "--errors=5");
    EXPECT_REFUSED("--mode: \"long\" is not one of its values; it can be light, deep or none",
                   "--mode=long");
    EXPECT_REFUSED("--even: \"3\" is odd", "--even", "3");
    EXPECT_REFUSED("--loud takes no value", "--loud=1");
    EXPECT_REFUSED("--name needs a value: --name TEXT", "--name");
    EXPECT_REFUSED("-n needs a value: --name TEXT", "-fn");
    forget();
}

/* What the commands that run a job make of these words; the exit code. */
static int journal_of(job_args *args, const char *const *list)
{
    char *argv[8] = {words[0]};
    int argc = 1;
    *args = (job_args){0};
    for (; *list; list++, argc++) {
        snprintf(words[argc], sizeof words[argc], "%s", *list);
        argv[argc] = words[argc];
    }
    const command fake = {.name = "", .options = job_run_options};
    if (options_read(&fake, args, argc, argv, why, sizeof why) != OPTIONS_OK)
        return 2;
    return job_args_complete(&fake, args);
}

#define JOURNAL_OF(...) journal_of(&args, (const char *const[]){__VA_ARGS__, NULL})

TEST(chooses_what_becomes_of_an_earlier_run)
{
    job_args args;
    const struct {
        const char *word;
        weir_journal journal;
    } each[] = {{"--resume", WEIR_JOURNAL_RESUME},
                {"--restart", WEIR_JOURNAL_RESTART},
                {"--retry-failed", WEIR_JOURNAL_RETRY_FAILED},
                {"--no-journal", WEIR_JOURNAL_NONE},
                {"--quiet", WEIR_JOURNAL_NEW}};
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++) {
        EXPECT_INT(JOURNAL_OF(each[i].word, each[i].word), 0);
        EXPECT_INT(args.options.journal, each[i].journal);
        for (size_t j = 0; j < i && i < 4; j++)
            EXPECT_INT(JOURNAL_OF(each[i].word, each[j].word), 2);
    }
    EXPECT_INT(JOURNAL_OF("--commit-every", "5ms"), 0);
    EXPECT_INT(args.options.commit_every, 5 * UNITS_MS);
    EXPECT_INT(JOURNAL_OF("--commit-every", "0"), 2);
    EXPECT_STR(why, "--commit-every: \"0\" is out of range; it can be from 1ms to 1d");
}

TEST(takes_secrets_out_of_sight)
{
    EXPECT(READ("--password", "hunter2", "-phunter3") == OPTIONS_OK);
    EXPECT_STR(got.password, "hunter3");
    EXPECT_STR(words[2], "");
    EXPECT_STR(words[3], "-p");
    EXPECT(READ("--password=hunter2") == OPTIONS_OK);
    EXPECT_STR(got.password, "hunter2");
    EXPECT_STR(words[1], "--password=");
    EXPECT_REFUSED("--secret-times: the value is no number; write digits, such as 10",
                   "--secret-times", "hunter2");
    EXPECT_REFUSED("unknown option \"--pasword\"; did you mean \"--password\"?",
                   "--pasword=hunter2");
    forget();
}

static bool is_whisper(const char *operand)
{
    return strncmp(operand, "psst", 4) == 0;
}

TEST(takes_secret_operands_out_of_sight)
{
    command discreet = nap;
    discreet.operand_is_secret = is_whisper;
    EXPECT(read_words(&discreet, (const char *const[]){"aloud", "psst-me", NULL}) == OPTIONS_OK);
    REQUIRE(got.operands.len == 2);
    EXPECT_STR(got.operands.items[1], "psst-me");
    EXPECT_STR(words[1], "aloud");
    EXPECT_STR(words[2], "");
    forget();
}

TEST(refuses_operands_where_there_are_none)
{
    command strict = nap;
    strict.takes_operands = false;
    EXPECT(read_words(&strict, (const char *const[]){"bed\n", NULL}) == OPTIONS_BAD);
    EXPECT_STR(why, "there is nothing to do with \"bed\\n\"; it takes options only");
    forget();
}

/* The text of a help function, to be freed. */
static char *short_help(const command *cmd)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    help_short(out, cmd, term_style_get(false));
    fclose(out);
    return text;
}

static char *man_page(const command *cmd)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    help_man(out, cmd);
    fclose(out);
    return text;
}

static char *long_help(const command *cmd, int width)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    help_long(out, cmd, term_style_get(false), width);
    fclose(out);
    return text;
}

static void expect_lines_fit(const char *name, char *text, size_t columns, int lines)
{
    char *rest = text;
    int n = 0;
    for (char *line; (line = strsep(&rest, "\n")) && rest; n++)
        if (!EXPECT(strlen(line) <= columns))
            printf("# %s: %s\n", name, line);
    if (!EXPECT(n <= lines))
        printf("# %s: %d lines\n", name, n);
}

TEST(short_help_fits_a_screen)
{
    for (const command *const *c = commands; *c; c++) {
        char *text = short_help(*c);
        expect_lines_fit((*c)->name, text, 79, 60);
        free(text);
    }
    char *text = short_help(&program);
    expect_lines_fit("weir", text, 79, 24);
    free(text);
}

TEST(long_help_keeps_its_width)
{
    for (const command *const *c = commands; *c; c++) {
        char *text = long_help(*c, 80);
        expect_lines_fit((*c)->name, text, 80, 400);
        free(text);
    }
}

TEST(no_name_or_letter_stands_for_two_options)
{
    for (const command *const *c = commands; *c; c++) {
        for (const option *o = (*c)->options; o && o->kind != OPTION_KIND_END; o++) {
            for (const option *p = o + 1; p->kind != OPTION_KIND_END; p++) {
                EXPECT(strcmp(o->name, p->name) != 0);
                if (!EXPECT(!o->letter || o->letter != p->letter))
                    printf("# %s: -%c\n", (*c)->name, o->letter);
            }
            EXPECT(o->kind == OPTION_KIND_GROUP || (o->help && o->letter != 'h'));
            EXPECT((o->arg == NULL) == (o->kind == OPTION_FLAG || o->kind == OPTION_TIMES ||
                                        o->kind == OPTION_KIND_GROUP));
        }
    }
}

TEST(man_page_has_every_option)
{
    char *text = man_page(&nap);
    EXPECT(strncmp(text, ".TH WEIR\\-NAP 1 ", 16) == 0);
    EXPECT(strstr(text, "\\fB\\-l\\fR, \\fB\\-\\-latency\\fR \\fITIME\\fR\nHow long.\n"));
    EXPECT(strstr(text, "\\fB\\-\\-mode\\fR"));
    EXPECT(strstr(text, "One of \\fBlight\\fR, \\fBdeep\\fR, \\fBnone\\fR."));
    EXPECT(strstr(text, "\\fB\\-\\-no\\-loud\\fR undoes it."));
    free(text);
}

TESTS(CASE(counts_how_often), CASE(takes_values_in_every_form),
      CASE(takes_flags_alone_and_in_clusters), CASE(keeps_lists_and_operands_in_order),
      CASE(counts_the_last_of_a_repeated_option), CASE(asks_for_help_before_anything_else_is_wrong),
      CASE(names_the_unknown_option_and_the_likely_one), CASE(says_what_a_value_should_be),
      CASE(chooses_what_becomes_of_an_earlier_run), CASE(takes_secrets_out_of_sight),
      CASE(takes_secret_operands_out_of_sight), CASE(refuses_operands_where_there_are_none),
      CASE(short_help_fits_a_screen), CASE(long_help_keeps_its_width),
      CASE(no_name_or_letter_stands_for_two_options), CASE(man_page_has_every_option))
