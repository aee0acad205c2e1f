/* scan_list_test.c: lists of paths in their formats, whole, torn and wrong. */
#include "scan_list.h"

#include <stdlib.h>

#include "folder.h"
#include "torture.h"

/* All paths, each between bars; then, if it did not end well, why. */
static weir_status paths_of(wi_scan_list_options options, const void *bytes, size_t len,
                            wi_buf *out, weir_error *err)
{
    wi_scan_list *list = NULL;
    weir_error got = {0};
    options.input = in_folder("list");
    put_file(options.input, bytes, len);
    if (!options.max_row)
        options.max_row = 1 << 20;
    weir_status status = wi_scan_list_open(&options, &list, err);
    while (status == WEIR_OK) {
        wi_buf path = WI_BUF_INIT;
        status = wi_scan_list_next(list, &path, &got);
        if (status == WEIR_OK) {
            wi_buf_append(out, path.data, path.len);
            wi_buf_putc(out, '|');
        } else if (status == WEIR_NOTFOUND) { /* of a row */
            EXPECT_MEM(path.data, path.len, options.input);
            wi_buf_puts(out, strstr(got.text, " line "));
            wi_buf_putc(out, '|');
            status = WEIR_OK;
        }
        wi_buf_fini(&path);
    }
    wi_scan_list_close(list);
    if (err && list)
        *err = got;
    if (out->failed)
        return wi_fail_nomem(err);
    return status == WEIR_END ? WEIR_OK : status;
}

static void expect_paths(wi_scan_list_options options, const char *text, size_t len,
                         const char *want)
{
    wi_buf out = WI_BUF_INIT;
    EXPECT_INT(paths_of(options, text, len, &out, NULL), WEIR_OK);
    EXPECT_MEM(out.data ? out.data : "", out.len, want);
    wi_buf_fini(&out);
}

#define PATHS(format, nul, text, want) \
    expect_paths((wi_scan_list_options){NULL, format, nul, 0}, text, sizeof(text) - 1, want)

static void expect_fault(wi_scan_list_options options, const char *text, size_t len,
                         weir_status status, const char *says)
{
    wi_buf out = WI_BUF_INIT;
    weir_error err = {0};
    EXPECT_INT(paths_of(options, text, len, &out, &err), status);
    EXPECT(strstr(err.text, says) != NULL);
    if (!strstr(err.text, says))
        printf("# %s\n", err.text);
    wi_buf_fini(&out);
}

#define FAULT(which, text, says)                                                                  \
    expect_fault((wi_scan_list_options){.format = (which)}, text, sizeof(text) - 1, WEIR_INVALID, \
                 says)

TEST(plain_paths)
{
    REQUIRE(folder_begin());
    PATHS(WI_FORMAT_LINES, false, "", "");
    PATHS(WI_FORMAT_LINES, false, "a\nb c\n\n\xff/d\r\n/e", "a|b c|\xff/d|/e|");
    PATHS(WI_FORMAT_LINES, true, "a\nb\0\0c\r\0d", "a\nb|c\r|d|");
    FAULT(WI_FORMAT_LINES, "a\0b\0", "--null");
    folder_end();
}

TEST(a_path_of_any_length_up_to_the_bound)
{
    enum { LONG = 300000 };
    REQUIRE(folder_begin());
    static char text[2 * LONG + 2], want[2 * LONG + 3];
    memset(text, 'x', 2 * LONG + 2);
    memset(want, 'x', 2 * LONG + 2);
    text[LONG] = '\n';
    want[LONG] = '|';
    want[2 * LONG + 1] = '|';
    want[2 * LONG + 2] = '\0';
    expect_paths((wi_scan_list_options){.format = WI_FORMAT_LINES}, text, 2 * LONG + 1, want);
    expect_fault((wi_scan_list_options){.format = WI_FORMAT_LINES, .max_row = LONG / 2}, text,
                 2 * LONG + 1, WEIR_TOOLARGE, "longer than 150000");
    folder_end();
}

TEST(the_column_path)
{
    REQUIRE(folder_begin());
    PATHS(WI_FORMAT_CSV, false, "id,path\n1,\"a\nb\"\n2,c\n", "a\nb|c|");
    PATHS(WI_FORMAT_TSV, false, "path\tid\na\\tb\t1\n", "a\tb|");
    PATHS(WI_FORMAT_NDJSON, false, "{\"path\":\"a\\\"b\"}\n{\"x\":1,\"path\":\"c\"}\n", "a\"b|c|");
    PATHS(WI_FORMAT_CSV, false, "path\n", "");
    FAULT(WI_FORMAT_CSV, "id,name\n1,a\n", "there is no column \"path\"; there are: id, name");
    folder_end();
}

#define NONE ": there is no path in the column \"path\"|"

TEST(rows_without_a_path)
{
    REQUIRE(folder_begin());
    PATHS(WI_FORMAT_CSV, false, "path,id\na,1\n,2\nb,3\n", "a| line 3" NONE "b|");
    PATHS(WI_FORMAT_NDJSON, false, "{\"path\":7}\n{}\n{\"path\":\"a\\u0000b\"}\n{\"path\":\"c\"}\n",
          " line 1" NONE " line 2" NONE " line 3" NONE "c|");
    PATHS(WI_FORMAT_CSV, false, "path,id\na\nb,3\n", " line 2: 1 field, but the header has 2|b|");
    folder_end();
}

TEST(what_cannot_be_read)
{
    wi_scan_list *list = NULL;
    weir_error err;
    REQUIRE(folder_begin());
    wi_scan_list_options options = {.input = in_folder("none"), .max_row = 1024};
    options.format = WI_FORMAT_LINES;
    EXPECT_INT(wi_scan_list_open(&options, &list, &err), WEIR_NOTFOUND);
    EXPECT(strstr(err.text, "none") != NULL);
    EXPECT(list == NULL);
    wi_scan_list_close(NULL);
    folder_end();
}

static weir_status read_all(wi_format format, const char *text)
{
    wi_buf out = WI_BUF_INIT;
    weir_status status =
        paths_of((wi_scan_list_options){.format = format}, text, strlen(text), &out, NULL);
    EXPECT(status || out.len == 4);
    wi_buf_fini(&out);
    return status;
}

TEST(survives_lack_of_memory)
{
    REQUIRE(folder_begin());
    TORTURE(read_all(WI_FORMAT_LINES, "a\nb\n"));
    TORTURE(read_all(WI_FORMAT_CSV, "path\na\nb\n"));
    folder_end();
}

TESTS(CASE(plain_paths), CASE(a_path_of_any_length_up_to_the_bound), CASE(the_column_path),
      CASE(rows_without_a_path), CASE(what_cannot_be_read), CASE(survives_lack_of_memory))
