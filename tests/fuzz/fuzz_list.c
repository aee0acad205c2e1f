/*
 * fuzz_list.c: a list of paths is read as the plainest reading has it: lines, paths that end with
 * NUL bytes, or the column "path" of a table as its reader gives it. The first byte has the format.
 */
#include "fuzz.h"
#include "json.h"
#include "scan_list.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MAX_ROW = 4096 };

static void show(wi_buf *out, const char *path, size_t len)
{
    CHECK(len && !memchr(path, '\0', len));
    wi_buf_printf(out, "%zu:", len);
    wi_buf_append(out, path, len);
}

/* The list's own reading; every row without a path is "none". */
static wi_buf read_list(const char *file, wi_format format, bool nul)
{
    wi_scan_list_options options = {
        .input = file, .format = format, .nul = nul, .max_row = MAX_ROW};
    wi_scan_list *list = NULL;
    wi_buf told = WI_BUF_INIT, path = WI_BUF_INIT;
    weir_error err = {0};
    weir_status status = wi_scan_list_open(&options, &list, &err);
    CHECK(status == WEIR_OK || err.text[0]); /* packed, and damaged */
    while (status == WEIR_OK || status == WEIR_NOTFOUND) {
        wi_buf_clear(&path);
        status = wi_scan_list_next(list, &path, &err);
        if (status == WEIR_OK)
            show(&told, path.data, path.len);
        else if (status != WEIR_END)
            CHECK(err.status == status && err.text[0]);
        if (status == WEIR_NOTFOUND)
            wi_buf_puts(&told, "none ");
    }
    wi_buf_puts(&told, status == WEIR_END ? "end" : "failed");
    wi_scan_list_close(list);
    wi_buf_fini(&path);
    CHECK(!told.failed);
    return told;
}

static wi_buf read_plainly(const char *bytes, size_t len, char end)
{
    wi_buf told = WI_BUF_INIT;
    while (len) {
        const char *stop = memchr(bytes, end, len);
        size_t n = stop ? (size_t)(stop - bytes) : len;
        size_t path = n && end == '\n' && bytes[n - 1] == '\r' ? n - 1 : n;
        if (path && memchr(bytes, '\0', path)) {
            wi_buf_puts(&told, "failed");
            return told;
        }
        if (path)
            show(&told, bytes, path);
        n += stop != NULL;
        bytes += n;
        len -= n;
    }
    wi_buf_puts(&told, "end");
    return told;
}

static void read_row(wi_buf *told, const wi_batch *batch, size_t row)
{
    int column = wi_schema_find(wi_batch_schema(batch), "path", 4);
    wi_buf text = WI_BUF_INIT;
    wi_cell cell = {.kind = WI_ABSENT};
    if (column >= 0 && !wi_batch_fault(batch, row))
        cell = wi_batch_cell(batch, row, (size_t)column);
    if (cell.kind == WI_STRING)
        wi_buf_append(&text, cell.bytes, cell.len);
    else if (cell.kind == WI_JSON && *cell.bytes == '"')
        wi_json_append_unescaped(&text, cell.bytes + 1, cell.len - 2);
    if (text.len && !memchr(text.data, '\0', text.len))
        show(told, text.data, text.len);
    else
        wi_buf_puts(told, "none ");
    wi_buf_fini(&text);
}

static wi_buf read_table(const char *bytes, size_t len, wi_format format)
{
    wi_buf told = WI_BUF_INIT;
    wi_reader *reader = NULL;
    wi_batch *batch = NULL;
    bool fine = wi_reader_new(format, "list", MAX_ROW, &reader, NULL) == WEIR_OK;
    CHECK(fine);
    if (len)
        CHECK(wi_reader_feed(reader, bytes, len, NULL) == WEIR_OK);
    CHECK(wi_reader_feed(reader, NULL, 0, NULL) == WEIR_OK);
    while (fine && (fine = wi_reader_next(reader, 7, &batch, NULL) == WEIR_OK) && batch) {
        fine = format == WI_FORMAT_NDJSON || wi_schema_find(wi_batch_schema(batch), "path", 4) >= 0;
        for (size_t row = 0; fine && row < wi_batch_rows(batch); row++)
            read_row(&told, batch, row);
        wi_batch_unref(batch);
    }
    wi_buf_puts(&told, fine ? "end" : "failed");
    wi_reader_free(reader);
    return told;
}

/* A list may be packed, which fuzz_pieces is about. */
static bool may_be_packed(const char *bytes, size_t len)
{
    static const char *const magics[] = {"\x1f\x8b", "\x28\xb5", "\xfd\x37", "BZ"};
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (len >= 2 && memcmp(bytes, magics[i], 2) == 0)
            return true;
    return len >= 4 && (bytes[1] & 0xf0) == 0x50 && bytes[2] == 0x2a; /* zstd's frames to skip */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const wi_format formats[] = {WI_FORMAT_LINES, WI_FORMAT_LINES, WI_FORMAT_CSV,
                                        WI_FORMAT_TSV, WI_FORMAT_NDJSON};
    if (size == 0 || size > MAX_ROW)
        return 0;
    unsigned which = data[0] % 5;
    const char *bytes = (const char *)data + 1;
    size_t len = size - 1;
    char path[40];
    if (may_be_packed(bytes, len))
        return 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    wi_buf got = read_list(path, formats[which], which == 1);
    wi_buf want = which < 2 ? read_plainly(bytes, len, which ? '\0' : '\n')
                            : read_table(bytes, len, formats[which]);
    if (got.len != want.len || memcmp(got.data, want.data, want.len) != 0) {
        fprintf(stderr, "got %.*s\nwant %.*s\n", (int)got.len, got.data, (int)want.len, want.data);
        abort();
    }
    wi_buf_fini(&got);
    wi_buf_fini(&want);
    close(fd);
    return 0;
}
