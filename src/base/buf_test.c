/* buf_test.c: growth, the cap, and the failure that sticks. */
#include "buf.h"

#include <stdlib.h>

#include "test.h"

TEST(grows_as_it_is_filled)
{
    wi_buf buf = WI_BUF_INIT;
    EXPECT_STR(wi_buf_cstr(&buf), "");
    for (int i = 0; i < 1000; i++)
        wi_buf_putc(&buf, (char)('a' + i % 26));
    EXPECT_INT(buf.len, 1000);
    EXPECT(buf.data[0] == 'a' && buf.data[999] == 'a' + 999 % 26);
    wi_buf_clear(&buf);
    wi_buf_puts(&buf, "x");
    wi_buf_append(&buf, "yz", 2);
    wi_buf_append(&buf, NULL, 0);
    wi_buf_printf(&buf, "%d-%s", 42, "q");
    EXPECT_STR(wi_buf_cstr(&buf), "xyz42-q");
    EXPECT_INT(buf.len, 7);
    wi_buf_fini(&buf);
    EXPECT(!buf.data && !buf.len && !buf.cap);
}

TEST(writes_integers)
{
    wi_buf buf = WI_BUF_INIT;
    static const int64_t values[] = {0, -1, 10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        wi_buf_put_i64(&buf, values[i]);
        wi_buf_putc(&buf, ' ');
    }
    EXPECT_STR(wi_buf_cstr(&buf), "0 -1 10 9223372036854775807 -9223372036854775808 ");
    wi_buf_fini(&buf);
}

TEST(failure_at_the_cap_sticks_until_cleared)
{
    wi_buf buf;
    wi_buf_init(&buf, 8);
    wi_buf_puts(&buf, "12345678");
    EXPECT(!buf.failed);
    wi_buf_putc(&buf, '9');
    EXPECT(buf.failed);
    EXPECT_INT(buf.len, 8);
    buf.len = 0;
    wi_buf_puts(&buf, "a");
    EXPECT_INT(buf.len, 0);
    EXPECT(!wi_buf_cstr(&buf));
    wi_buf_clear(&buf);
    wi_buf_puts(&buf, "a");
    EXPECT(!buf.failed && buf.len == 1);
    EXPECT(!wi_buf_reserve(&buf, 8) && buf.failed);
    wi_buf_fini(&buf);
    EXPECT_INT(buf.max, 8);
}

TEST(a_size_that_would_overflow_fails)
{
    wi_buf buf = WI_BUF_INIT;
    wi_buf_puts(&buf, "abc");
    EXPECT(!wi_buf_reserve(&buf, SIZE_MAX));
    EXPECT(buf.failed);
    wi_buf_fini(&buf);
}

TEST(take_gives_the_storage_away)
{
    wi_buf buf = WI_BUF_INIT;
    size_t len = 9;
    EXPECT(!wi_buf_take(&buf, &len));
    EXPECT_INT(len, 0);
    wi_buf_puts(&buf, "mine");
    char *data = wi_buf_take(&buf, &len);
    EXPECT_MEM(data, len, "mine");
    EXPECT(!buf.data && !buf.len);
    free(data);
    wi_buf_init(&buf, 2);
    wi_buf_puts(&buf, "ab");
    wi_buf_puts(&buf, "c");
    EXPECT(!wi_buf_take(&buf, &len) && len == 0);
}

TESTS(CASE(grows_as_it_is_filled), CASE(writes_integers),
      CASE(failure_at_the_cap_sticks_until_cleared), CASE(a_size_that_would_overflow_fails),
      CASE(take_gives_the_storage_away))
