/*
 * shell_test.c: where a quoted word may stand. '@' in a line is such a place, and the last one
 * counts. What is allowed is run by a real shell as well: see test_security.py.
 */
#include "shell.h"

#include "test.h"

/* Why the last '@' may not stand there; NULL: it may. */
static const char *refusal(const char *line)
{
    wi_shell shell = {0};
    const char *why = "no word";
    for (; *line; line++)
        if (*line == '@')
            why = wi_shell_word(&shell);
        else
            wi_shell_read(&shell, *line);
    return why;
}

static void expect_all(const char *const *lines, size_t n, const char *says)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = refusal(lines[i]);
        bool ok = says ? why && strstr(why, says) : !why;
        if (!EXPECT(ok))
            printf("# %s: %s\n", lines[i], why ? why : "allowed");
    }
}

#define EXPECT_ALL(says, ...)                                    \
    do {                                                         \
        static const char *const lines[] = {__VA_ARGS__};        \
        expect_all(lines, sizeof lines / sizeof lines[0], says); \
    } while (0)

TEST(words_may_stand_where_words_are_read)
{
    EXPECT_ALL(NULL, "@", "cat @ | wc -l", "cat <@ >@", "a=@; b", "x@y", "-o@", "'a' @", "\"a\" @",
               "'it'\\''s' @", "\"\\\"\" @", "'\\' @", "echo $(cat @)", "echo \"$(cat @)\"",
               "echo \"$(cat \"x\" @)\"", "(cd @ && ls)", "f() { echo @; }", "a\n@", "a;@", "a&&@",
               "echo a#b @", "echo '#' @", "# x\n@", "a \\# @", "\\$@", "\"$\"@", "$HOME/@",
               "$((1 + 2)) @", "$(( (1) )) @", "$(((1))) @", "((1)) @", "${x} @", "${x:-y} @",
               "\"${x}\" @", "`date` @", "\"`date`\" @", "cat <<< @", "a < b @", "[ @ = x ]",
               "case @ in @) echo @;; esac", "echo {} @", "lower\\\n@", "a$(b)@", "a\\\\ @", "$# @",
               "$$ @", "!@", "{ @; }", "cat <(sort @) @");
}

TEST(words_may_not_stand_in_quotes)
{
    EXPECT_ALL("inside quotes", "'@", "\"@", "echo '@'", "echo \"@\"", "echo \"a $x @\"", "'a' '@",
               "\"\\\"@\"", "'\\''\"@", "$(echo \"@\")", "\"$(echo '@')\"", "\"$(echo)@\"",
               "'$(@)'", "\"${x}@\"", "a#'@'", "\\\"'@'", "\"`date`@\"", "''\"\"'@'");
}

TEST(words_may_not_stand_in_comments)
{
    EXPECT_ALL("comment", "# @", "a # @", "a;#@", "(#@", "a\n#@", "a # 'x' @", "a # \\\n# @");
}

TEST(words_may_not_stand_where_quotes_dont_help)
{
    EXPECT_ALL("no quotes", "$@", "a$@", "`@`", "`cat @`", "\"`cat @`\"", "${@}", "${x:-@}",
               "\"${x:-@}\"", "$((@))", "$((1 + @))", "$(( $((@)) ))", "((@))", "a[@]=1", "a['x'@]",
               "[@]", "\\@", "x\\@", "\\\n$@", "cat <<@", "${x:-${y:-@}}");
}

TEST(what_is_hard_to_read_is_refused)
{
    EXPECT_ALL("for sure", "cat <<E\n@\nE", "cat << E\n@", "cat <<-E\n@", "cat <<'E'\n@",
               "cat <<E @", "cat <<\\E @", "cat <\\\n<E\n@", "`echo '`' @", "`echo \"x\"` @",
               "${x:-'}'} @", "${x:-\"}\"} @", "${x:-$(y)} @", "$(( 'x' )) @", "$'a' @", "$'\\'' @",
               "$[1] @", "(a)#b @", "$(a)#'\n@'", "\"$(case x in a) echo \"@\";; esac)\"",
               "(case x in a) echo;; esac) @", "a[$(x)@]", "a[$(x)] @", "cat <<<< @");
    char deep[2 * WI_SHELL_DEPTH + 4] = "";
    for (int i = 0; i <= WI_SHELL_DEPTH; i++)
        memcpy(deep + (size_t)2 * (size_t)i, "( @", 4);
    const char *const lines[] = {deep};
    expect_all(lines, 1, "for sure");
    expect_all((const char *const[]){deep + 2}, 1, NULL);
}

TESTS(CASE(words_may_stand_where_words_are_read), CASE(words_may_not_stand_in_quotes),
      CASE(words_may_not_stand_in_comments), CASE(words_may_not_stand_where_quotes_dont_help),
      CASE(what_is_hard_to_read_is_refused))
