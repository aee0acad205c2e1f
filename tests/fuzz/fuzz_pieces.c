/*
 * fuzz_pieces.c: a file of any bytes comes in pieces as wi_input reads it, and if one says that it
 * is damaged, so does the other. The first byte says what a line may have at most, whether lines
 * matter, whether a file is one of a folder, whether archives are left as they are, and whether NUL
 * bytes are of no interest.
 */
#include "buf.h"
#include "fuzz.h"
#include "input.h"
#include "pieces.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 1 << 20 }; /* bytes, after which there is enough of it */

typedef struct outcome {
    weir_status status; /* WEIR_OK: there is more */
    wi_buf bytes;
} outcome;

static outcome read_input(const char *path, bool raw)
{
    outcome got = {0};
    weir_error err = {0};
    char piece[5000];
    wi_input *input = NULL;
    size_t n = 0;
    CHECK(wi_input_open(path, &input, NULL) == WEIR_OK);
    if (raw)
        wi_input_no_decompress(input);
    while (!got.status && got.bytes.len < MOST) {
        got.status = wi_input_read(input, piece, sizeof piece, &n, &err);
        if (!got.status && !n)
            got.status = WEIR_END;
        else if (!got.status)
            wi_buf_append(&got.bytes, piece, n);
    }
    CHECK(!got.status || got.status == WEIR_END || (err.status == got.status && err.text[0]));
    wi_input_close(input);
    return got;
}

static outcome read_pieces(int fd, const wi_pieces_options *options, bool lines, bool folder)
{
    outcome got = {0};
    weir_error err = {0};
    wi_pieces *pieces = NULL;
    bool parts = false; /* a line may come in them */
    CHECK(wi_pieces_new(options, &pieces, NULL) == WEIR_OK);
    if (folder)
        wi_pieces_enter_folder(pieces);
    wi_pieces_begin(pieces, fd, "file");
    while (!got.status && got.bytes.len < MOST) {
        const char *bytes;
        size_t len;
        got.status = lines ? wi_pieces_next(pieces, &bytes, &len, &err)
                           : wi_pieces_next_bytes(pieces, &bytes, &len, &err);
        if (!got.status) {
            CHECK(len > 0);
            CHECK(!lines || !got.bytes.len || got.bytes.data[got.bytes.len - 1] == '\n' || parts);
            parts = wi_pieces_nul(pieces) >= 0;
            wi_buf_append(&got.bytes, bytes, len);
        }
    }
    CHECK(!got.status || got.status == WEIR_END || (err.status == got.status && err.text[0]));
    const char *nul = got.bytes.len ? memchr(got.bytes.data, '\0', got.bytes.len) : NULL;
    CHECK(wi_pieces_nul(pieces) == (nul && !options->no_nul ? nul - got.bytes.data : -1));
    wi_pieces_free(pieces);
    return got;
}

/* Where the first line begins that is longer than `most`; the length if there is none. */
static size_t too_long(const wi_buf *bytes, size_t most)
{
    size_t begin = 0;
    for (size_t i = 0; i < bytes->len; i++) {
        if (bytes->data[i] == '\n')
            begin = i + 1;
        else if (i + 1 - begin > most)
            return begin;
    }
    return bytes->len;
}

/* Is the first NUL byte in the line that begins there? */
static bool has_nul(const wi_buf *bytes, size_t begin)
{
    const char *nul = memchr(bytes->data, '\0', bytes->len);
    const char *from = bytes->data + begin;
    return nul && nul >= from && !memchr(from, '\n', (size_t)(nul - from));
}

static void compare(const outcome *input, const outcome *pieces, bool lines,
                    const wi_pieces_options *options)
{
    size_t len = input->bytes.len < pieces->bytes.len ? input->bytes.len : pieces->bytes.len;
    CHECK(len == 0 || memcmp(input->bytes.data, pieces->bytes.data, len) == 0);
    if (!input->status || !pieces->status)
        return;
    /* How many bytes come before damage is found is up to how many are asked for at a time. */
    if (input->status != WEIR_END) {
        CHECK(pieces->status == input->status || (lines && pieces->status == WEIR_TOOLARGE));
        return;
    }
    size_t end = lines ? too_long(&input->bytes, options->max_line) : input->bytes.len;
    if (end < input->bytes.len && !options->no_nul && has_nul(&input->bytes, end))
        return;
    if (end < input->bytes.len) {
        CHECK(pieces->status == WEIR_TOOLARGE && pieces->bytes.len == end);
        return;
    }
    CHECK(pieces->status == WEIR_END && pieces->bytes.len == input->bytes.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40];
    if (size == 0)
        return 0;
    bool lines = data[0] & 1, folder = data[0] & 2;
    wi_pieces_options options = {.max_line = (size_t)16 << (data[0] >> 3 & 15),
                                 .no_decompress = data[0] & 4,
                                 .no_nul = data[0] & 128};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    outcome input = read_input(path, options.no_decompress);
    outcome pieces = read_pieces(fd, &options, lines, folder);
    compare(&input, &pieces, lines, &options);
    wi_buf_fini(&input.bytes);
    wi_buf_fini(&pieces.bytes);
    close(fd);
    return 0;
}
