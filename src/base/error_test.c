/* error_test.c: an error is filled whole, printable, and never longer than its place. */
#include "error.h"

#include <errno.h>

#include "test.h"

TEST(fail_fills_and_returns)
{
    weir_error err;
    memset(&err, 'x', sizeof err);
    EXPECT_INT(wi_fail(&err, WEIR_INVALID, "line %d: %s", 3, "bad"), WEIR_INVALID);
    EXPECT_INT(err.status, WEIR_INVALID);
    EXPECT_INT(err.sys_errno, 0);
    EXPECT_STR(err.text, "line 3: bad");
    EXPECT_INT(wi_fail(NULL, WEIR_CLOSED, "nobody listens"), WEIR_CLOSED);
    EXPECT_INT(wi_fail_nomem(NULL), WEIR_NOMEM);
    EXPECT_INT(wi_fail_nomem(&err), WEIR_NOMEM);
    EXPECT_STR(err.text, "out of memory");
}

TEST(errno_becomes_status_and_text)
{
    weir_error err;
    EXPECT_INT(wi_fail_errno(&err, ENOENT, "ids.csv"), WEIR_NOTFOUND);
    EXPECT_STR(err.text, "ids.csv: No such file or directory");
    EXPECT_INT(err.sys_errno, ENOENT);
    EXPECT_INT(wi_fail_errno(&err, EACCES, "x"), WEIR_DENIED);
    EXPECT_INT(wi_fail_errno(&err, EISDIR, "x"), WEIR_INVALID);
    EXPECT_INT(wi_fail_errno(&err, ENOMEM, "x"), WEIR_NOMEM);
    EXPECT_INT(wi_fail_errno(&err, ETIMEDOUT, "x"), WEIR_TIMEDOUT);
    EXPECT_INT(wi_fail_errno(&err, ENOSPC, "x"), WEIR_IO);
    EXPECT_INT(wi_fail_errno(NULL, EIO, "x"), WEIR_IO);
}

TEST(text_is_printable_and_bounded)
{
    weir_error err;
    wi_fail(&err, WEIR_IO, "server said %s", "\x1B]0;owned\x07\xC2\x9B\xFF\n");
    EXPECT_STR(err.text, "server said \\x1B]0;owned\\x07\\u{009B}\\xFF\\n");
    char big[4 * WEIR_ERROR_TEXT_SIZE];
    memset(big, '\x01', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    wi_fail_errno(&err, EIO, "%s", big);
    EXPECT(strlen(err.text) < WEIR_ERROR_TEXT_SIZE);
    EXPECT_STR(err.text + strlen(err.text) - 7, "\\x01...");
}

TEST(what_the_program_has_filled_is_tidied)
{
    weir_error err = {.status = WEIR_IO, .sys_errno = 5, .text = "clear \x1B[2J\nit"};
    wi_error_tidy(&err);
    EXPECT_STR(err.text, "clear \\x1B[2J\\nit");
    EXPECT_INT(err.sys_errno, 5);
    memset(err.text, 'x', sizeof err.text);
    wi_error_tidy(&err);
    EXPECT_INT(strlen(err.text), sizeof err.text - 1);
    err.text[0] = '\0';
    wi_error_tidy(&err);
    EXPECT_STR(err.text, "input/output error");
    err = (weir_error){.status = WEIR_OK, .text = "\n"};
    wi_error_tidy(&err);
    EXPECT_STR(err.text, "\n"); /* nothing failed */
}

TEST(every_status_has_name_and_text)
{
    for (int i = WEIR_OK; i <= WEIR_INTERNAL; i++) {
        EXPECT(weir_status_name((weir_status)i)[0] != '\0');
        EXPECT(strcmp(weir_status_text((weir_status)i), "unknown status") != 0);
    }
    EXPECT_STR(weir_status_name(WEIR_TIMEDOUT), "TIMEDOUT");
    EXPECT_STR(weir_status_text(WEIR_TIMEDOUT), "timed out");
    EXPECT_STR(weir_status_name((weir_status)999), "UNKNOWN");
    EXPECT_STR(weir_status_text((weir_status)-1), "unknown status");
}

TESTS(CASE(fail_fills_and_returns), CASE(errno_becomes_status_and_text),
      CASE(text_is_printable_and_bounded), CASE(what_the_program_has_filled_is_tidied),
      CASE(every_status_has_name_and_text))
