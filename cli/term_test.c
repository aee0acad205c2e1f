#include "term.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static char buffer[256];

static const char *escaped(const char *text)
{
    return term_escape(buffer, sizeof buffer, text);
}

TEST(leaves_printable_text_alone)
{
    EXPECT_STR(escaped("plain, größer, 東京, 🙂"), "plain, größer, 東京, 🙂");
    EXPECT_STR(escaped(""), "");
}

TEST(shows_what_would_act_on_the_terminal)
{
    EXPECT_STR(escaped("\x1b[31mred\a"), "\\x1b[31mred\\x07");
    EXPECT_STR(escaped("a\nb\rc\td"), "a\\nb\\rc\\td");
    EXPECT_STR(escaped("\x7f"), "\\x7f");
    EXPECT_STR(escaped("\xc2\x9b"), "\\u{9b}");
    EXPECT_STR(escaped("\xe2\x80\xae"), "\\u{202e}");
}

TEST(shows_bytes_that_are_no_utf8)
{
    EXPECT_STR(escaped("\xff"), "\\xff");
    EXPECT_STR(escaped("\xc3"), "\\xc3");                   /* cut off by the end */
    EXPECT_STR(escaped("\xc0\xaf"), "\\xc0\\xaf");          /* overlong */
    EXPECT_STR(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80"); /* a surrogate */
    EXPECT_STR(escaped("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(cuts_at_a_characters_end)
{
    char small[8];
    EXPECT_STR(term_escape(small, sizeof small, "1234567"), "1234567");
    EXPECT_STR(term_escape(small, sizeof small, "12345678"), "1234...");
    EXPECT_STR(term_escape(small, sizeof small, "123ééé"), "123...");
    EXPECT_STR(term_escape(small, 3, "abcdef"), "..");
    EXPECT_STR(term_escape(small, 1, "abcdef"), "");
}

TEST(counts_columns)
{
    EXPECT_INT(term_columns("196× …"), 6);
}

TEST(colors_where_it_is_told_to)
{
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    EXPECT_STR(term_style_for(TERM_COLOR_AUTO, pipes[1])->red, "");
    EXPECT_STR(term_style_for(TERM_COLOR_ALWAYS, pipes[1])->red, "\x1b[31m");
    EXPECT_STR(term_style_for(TERM_COLOR_NEVER, pipes[1])->red, "");
    EXPECT_INT(term_width(pipes[1]), 80);
    EXPECT(!term_can_redraw(pipes[1]));
    close(pipes[0]);
    close(pipes[1]);
}

TEST(colors_a_terminal_unless_told_not_to)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master))
        SKIP("no pseudo-terminals here");
    int fd = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    EXPECT_STR(term_style_for(TERM_COLOR_AUTO, fd)->red, "\x1b[31m");
    EXPECT(term_can_redraw(fd));
    setenv("NO_COLOR", "1", 1);
    EXPECT_STR(term_style_for(TERM_COLOR_AUTO, fd)->red, "");
    setenv("NO_COLOR", "", 1);
    EXPECT_STR(term_style_for(TERM_COLOR_AUTO, fd)->red, "\x1b[31m");
    setenv("TERM", "dumb", 1);
    EXPECT_STR(term_style_for(TERM_COLOR_AUTO, fd)->red, "");
    EXPECT(!term_can_redraw(fd));
    close(fd);
    close(master);
}

TESTS(CASE(leaves_printable_text_alone), CASE(shows_what_would_act_on_the_terminal),
      CASE(shows_bytes_that_are_no_utf8), CASE(cuts_at_a_characters_end), CASE(counts_columns),
      CASE(colors_where_it_is_told_to), CASE(colors_a_terminal_unless_told_not_to))
