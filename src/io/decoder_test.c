/* decoder_test.c: each coding, whole, in pieces, cut anywhere, damaged, endless and empty. */
#include "decoder.h"

#include <malloc.h>

#include "encode.h"
#include "torture.h"

static const char text[] = "the quick brown fox jumps over the lazy dog, again and again, as it "
                           "did again and again before it did anything else again";

/* ---- encoding ---- */

enum { GZIP, ZLIB, BARE, ZSTD, BR, XZ, BZIP2, FORMATS };

static const wi_coding coding_of[FORMATS] = {
    WI_CODING_GZIP, WI_CODING_DEFLATE, WI_CODING_DEFLATE, WI_CODING_ZSTD,
    WI_CODING_BR,   WI_CODING_XZ,      WI_CODING_BZIP2,
};

static void append(wi_buf *out, int format, const char *bytes, size_t len)
{
    switch (format) {
    case GZIP:
        append_gzip(out, bytes, len);
        break;
    case ZLIB:
        append_deflated(out, ENCODE_ZLIB, bytes, len);
        break;
    case BARE:
        append_deflated(out, ENCODE_BARE, bytes, len);
        break;
    case ZSTD:
        append_zstd(out, bytes, len, 0);
        break;
    case XZ:
        append_xz(out, bytes, len, 0);
        break;
    case BZIP2:
        append_bzip2(out, bytes, len);
        break;
    default:
        append_br(out, bytes, len);
    }
}

/* ---- decoding ---- */

static wi_decoder *decoder_for(const char *codings)
{
    wi_codings list = {0};
    wi_decoder *decoder = NULL;
    const char *last = strrchr(codings, ' '); /* of a file there may be one, and it comes last */
    last = last ? last + 1 : codings;
    if (strcmp(last, "xz") == 0 || strcmp(last, "bzip2") == 0) {
        EXPECT_INT(wi_codings_add(&list, codings, (size_t)(last - codings), NULL), WEIR_OK);
        list.list[list.len++] = *last == 'x' ? WI_CODING_XZ : WI_CODING_BZIP2;
    } else {
        EXPECT_INT(wi_codings_add(&list, codings, strlen(codings), NULL), WEIR_OK);
    }
    EXPECT_INT(wi_decoder_new(&list, WI_WINDOW_LOG_HTTP, &decoder, NULL), WEIR_OK);
    return decoder;
}

/* Gives it a piece, and takes all that comes of it in pieces of at most `size`. */
static weir_status feed(wi_decoder *decoder, const char *in, size_t len, size_t size, wi_buf *out,
                        weir_error *err)
{
    char piece[16 << 10];
    size_t made;
    size_t at = 0;
    do {
        size_t used;
        weir_status status =
            wi_decoder_decode(decoder, in + at, len - at, &used, piece, size, &made, err);
        if (status)
            return status;
        EXPECT(used <= len - at && made <= size);
        at += used;
        wi_buf_append(out, piece, made);
    } while (made == size);
    EXPECT_INT(at, len);
    return WEIR_OK;
}

/* In pieces of `step` bytes, through an output of `size` bytes, to the end. */
static weir_status decode(const char *codings, const char *in, size_t len, size_t step, size_t size,
                          wi_buf *out, weir_error *err)
{
    wi_decoder *decoder = decoder_for(codings);
    weir_status status = WEIR_OK;
    for (size_t at = 0; status == WEIR_OK && at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        char *copy = malloc(n); /* of just that size, so that a sanitizer sees a read past it */
        status = copy ? WEIR_OK : WEIR_NOMEM;
        if (copy) {
            memcpy(copy, in + at, n);
            status = feed(decoder, copy, n, size, out, err);
            free(copy);
        }
    }
    if (status == WEIR_OK)
        status = wi_decoder_finish(decoder, err);
    wi_decoder_free(decoder);
    return status;
}

static void expect_decoded(const char *codings, const wi_buf *in, const char *want, size_t len)
{
    static const size_t steps[][2] = {{1 << 30, 16 << 10}, {1 << 30, 4096}, {1, 4096}, {1, 1},
                                      {1 << 30, 1},        {7, 3}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        wi_buf out = WI_BUF_INIT;
        EXPECT_INT(decode(codings, in->data, in->len, steps[i][0], steps[i][1], &out, NULL),
                   WEIR_OK);
        EXPECT(out.len == len && (len == 0 || memcmp(out.data, want, len) == 0));
        wi_buf_fini(&out);
    }
}

static void expect_failure(const char *codings, const char *in, size_t len, weir_status want,
                           const char *words)
{
    for (int i = 0; i < 2; i++) {
        wi_buf out = WI_BUF_INIT;
        weir_error err = {0};
        EXPECT_INT(decode(codings, in, len, i ? 1 : 1 << 30, 100, &out, &err), want);
        EXPECT_INT(err.status, want);
        if (!EXPECT(strstr(err.text, words) != NULL))
            printf("# it is: %s\n", err.text);
        wi_buf_fini(&out);
    }
}

TEST(whole_and_in_pieces)
{
    for (int format = 0; format < FORMATS; format++) {
        const char *name = wi_coding_name(coding_of[format]);
        wi_buf in = WI_BUF_INIT;
        append(&in, format, text, strlen(text));
        expect_decoded(name, &in, text, strlen(text));
        wi_buf_clear(&in);
        append(&in, format, "", 0);
        expect_decoded(name, &in, "", 0);
        wi_buf_clear(&in);
        expect_decoded(name, &in, "", 0); /* not even a header: a body that is empty */
        wi_buf_fini(&in);
    }
}

/* Larger than any buffer or window inside. */
TEST(large_and_hard_to_compress)
{
    size_t len = 3 << 20;
    char *bytes = malloc(len);
    REQUIRE(bytes != NULL);
    uint32_t seed = 1;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (char)(seed >> 24 & (i >> 16 & 1 ? 0xff : 0x03));
    }
    for (int format = 0; format < FORMATS; format++) {
        wi_buf in = WI_BUF_INIT;
        wi_buf out = WI_BUF_INIT;
        append(&in, format, bytes, len);
        EXPECT_INT(
            decode(wi_coding_name(coding_of[format]), in.data, in.len, 1000, 4096, &out, NULL),
            WEIR_OK);
        EXPECT(out.len == len && memcmp(out.data, bytes, len) == 0);
        wi_buf_fini(&in);
        wi_buf_fini(&out);
    }
    free(bytes);
}

TEST(cut_anywhere)
{
    for (int format = 0; format < FORMATS; format++) {
        wi_buf in = WI_BUF_INIT;
        append(&in, format, text, strlen(text));
        for (size_t len = 1; len < in.len; len++)
            expect_failure(wi_coding_name(coding_of[format]), in.data, len, WEIR_TRUNCATED,
                           "the data are cut short");
        wi_buf_fini(&in);
    }
}

/* Of the text nothing else may come than the text: formats with a checksum see each change, those
 * without may give another text, but go on to an end or fail. */
TEST(damaged_anywhere)
{
    for (int format = 0; format < FORMATS; format++) {
        bool checked = format != BARE && format != BR;
        wi_buf in = WI_BUF_INIT;
        append(&in, format, text, strlen(text));
        REQUIRE(in.data != NULL);
        for (size_t i = 0; i < in.len * 8; i++) {
            wi_buf out = WI_BUF_INIT;
            weir_error err = {0};
            in.data[i / 8] ^= (char)(1 << i % 8);
            weir_status status = decode(wi_coding_name(coding_of[format]), in.data, in.len, 1 << 30,
                                        4096, &out, &err);
            in.data[i / 8] ^= (char)(1 << i % 8);
            EXPECT(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_TRUNCATED ||
                   status == WEIR_TOOLARGE);
            EXPECT_INT(err.status, status);
            if (checked && status == WEIR_OK) /* a header's time or system */
                EXPECT_MEM(out.data, out.len, text);
            wi_buf_fini(&out);
        }
        wi_buf_fini(&in);
    }
}

TEST(what_is_none)
{
    static const char *const names[] = {"gzip", "deflate", "zstd", "br", "xz", "bzip2"};
    for (size_t i = 0; i < 6; i++)
        expect_failure(names[i], "\xff\xff no such data \xff\xff", 18, WEIR_INVALID, names[i]);
    expect_failure("gzip", "\0\0\0\0", 4, WEIR_INVALID, "gzip"); /* padding of nothing */
    expect_failure("zstd", "\x26\xb5\x2f\xfd\0\0\0\0", 8, WEIR_INVALID, "no frame"); /* zstd 0.6 */
    expect_failure("deflate", "\x78\xbb\1\2\3\4", 6, WEIR_INVALID, "dictionary");
}

TEST(a_failure_stays)
{
    wi_decoder *decoder = decoder_for("gzip");
    wi_buf in = WI_BUF_INIT;
    wi_buf out = WI_BUF_INIT;
    append(&in, GZIP, "x", 1);
    EXPECT_INT(feed(decoder, "nope", 4, 100, &out, NULL), WEIR_INVALID);
    EXPECT_INT(feed(decoder, in.data, in.len, 100, &out, NULL), WEIR_INVALID);
    EXPECT_INT(out.len, 0);
    wi_buf_fini(&in);
    wi_decoder_free(decoder);
    wi_decoder_free(NULL);
}

TEST(what_follows_the_end)
{
    for (int format = 0; format < FORMATS; format++) {
        const char *name = wi_coding_name(coding_of[format]);
        bool many = format != ZLIB && format != BARE && format != BR;
        wi_buf in = WI_BUF_INIT;
        append(&in, format, "one ", 4);
        append(&in, format, "", 0);
        append(&in, format, "two", 3);
        if (many)
            expect_decoded(name, &in, "one two", 7);
        else
            expect_failure(name, in.data, in.len, WEIR_INVALID, "follows the end");
        wi_buf_clear(&in);
        append(&in, format, "one", 3);
        wi_buf_puts(&in, "garbage");
        expect_failure(name, in.data, in.len, WEIR_INVALID, name);
        wi_buf_fini(&in);
    }
    wi_buf in = WI_BUF_INIT;
    append(&in, GZIP, "one", 3);
    wi_buf_append(&in, "\0\0\0", 3);
    expect_decoded("gzip", &in, "one", 3); /* as tapes pad it */
    wi_buf_clear(&in);
    append(&in, BZIP2, "one", 3);
    wi_buf_append(&in, "\0\0\0", 3);
    append(&in, BZIP2, " two", 4);
    wi_buf_append(&in, "\0", 1);
    expect_decoded("bzip2", &in, "one two", 7);
    wi_buf_fini(&in);
}

TEST(padding_of_xz_comes_by_fours)
{
    wi_buf in = WI_BUF_INIT;
    append(&in, XZ, "one", 3);
    for (int zeros = 1; zeros <= 8; zeros++) {
        wi_buf_putc(&in, '\0');
        size_t len = in.len;
        if (zeros % 4)
            expect_failure("xz", in.data, in.len, WEIR_TRUNCATED, "cut short");
        else
            expect_decoded("xz", &in, "one", 3);
        append(&in, XZ, " two", 4);
        if (zeros % 4)
            expect_failure("xz", in.data, in.len, WEIR_INVALID, "no multiple of four");
        else
            expect_decoded("xz", &in, "one two", 7);
        in.len = len;
    }
    expect_failure("xz", "\0\0\0\0", 4, WEIR_INVALID, "no stream"); /* padding of nothing */
    wi_buf_fini(&in);
}

/* Its header holds what looks like another frame, which only a reader that gets all at once could
 * stumble on. */
TEST(a_frame_that_seems_to_begin_in_a_header)
{
    static const char frame[] = "\x28\xb5\x2f\xfd\x50\x2a\x4d\x18"
                                "\x08\0\0\0\x08\0\0\0\x5b\xca\0"; /* and a zero: the last byte */
    static const char zeros[6477];
    wi_buf in = WI_BUF_INIT;
    wi_buf_append(&in, frame, sizeof frame);
    expect_decoded("zstd", &in, zeros, sizeof zeros);
    wi_buf_fini(&in);
}

/* ---- bounds ---- */

TEST(a_window_that_is_too_large)
{
    static char zeros[1 << 16];
    wi_codings zstd = {.len = 1, .list = {WI_CODING_ZSTD}};
    wi_decoder *decoder = NULL;
    wi_buf in = WI_BUF_INIT;
    wi_buf out = WI_BUF_INIT;
    append_zstd(&in, zeros, sizeof zeros, WI_WINDOW_LOG_HTTP);
    EXPECT_INT(decode("zstd", in.data, in.len, 100, 4096, &out, NULL), WEIR_OK);
    EXPECT_INT(out.len, sizeof zeros);
    wi_buf_clear(&in);
    append_zstd(&in, zeros, sizeof zeros, WI_WINDOW_LOG_HTTP + 1);
    expect_failure("zstd", in.data, in.len, WEIR_TOOLARGE, "window");
    REQUIRE(wi_decoder_new(&zstd, WI_WINDOW_LOG_FILE, &decoder, NULL) == WEIR_OK);
    EXPECT_INT(feed(decoder, in.data, in.len, 4096, &out, NULL), WEIR_OK);
    EXPECT_INT(out.len, 2 * sizeof zeros);
    wi_decoder_free(decoder);
    wi_codings xz = {.len = 1, .list = {WI_CODING_XZ}};
    wi_buf_clear(&in);
    wi_buf_clear(&out);
    append_xz(&in, zeros, sizeof zeros, 9); /* 64 MiB */
    expect_failure("xz", in.data, in.len, WEIR_TOOLARGE, "xz: the data need a larger window");
    REQUIRE(wi_decoder_new(&xz, WI_WINDOW_LOG_FILE, &decoder, NULL) == WEIR_OK);
    EXPECT_INT(feed(decoder, in.data, in.len, 4096, &out, NULL), WEIR_OK);
    EXPECT_INT(out.len, sizeof zeros);
    wi_decoder_free(decoder);
    wi_buf_fini(&in);
    wi_buf_fini(&out);
}

/* Taken piece by piece, the whole takes no more memory than its beginning. */
static void expect_constant_memory(int format)
{
    enum { SIZE = 64 << 20 };
    static char piece[16 << 10];
    char *zeros = calloc(1, SIZE);
    REQUIRE(zeros != NULL);
    wi_buf in = WI_BUF_INIT;
    append(&in, format, zeros, SIZE);
    free(zeros);
    wi_decoder *decoder = decoder_for(wi_coding_name(coding_of[format]));
    size_t total = 0;
    size_t at = 0;
    size_t made = sizeof piece;
    size_t early = 0;
    while (made == sizeof piece) {
        size_t used;
        REQUIRE(wi_decoder_decode(decoder, in.data + at, in.len - at, &used, piece, sizeof piece,
                                  &made, NULL) == WEIR_OK);
        at += used;
        total += made;
        if (total <= 20 << 20) /* the windows are full by then */
            early = mallinfo2().uordblks + mallinfo2().hblkhd;
    }
    EXPECT(mallinfo2().uordblks + mallinfo2().hblkhd <= early + (1 << 20));
    EXPECT_INT(total, SIZE);
    EXPECT_INT(wi_decoder_finish(decoder, NULL), WEIR_OK);
    wi_decoder_free(decoder);
    wi_buf_fini(&in);
}

TEST(a_bomb_in_constant_memory)
{
    for (int format = 0; format < FORMATS; format++)
        expect_constant_memory(format);
}

/* ---- several codings ---- */

TEST(codings_are_chained)
{
    static const char *const chains[] = {"gzip, zstd", "br , identity,\tx-GZIP", "zstd,deflate,br"};
    static const int formats[][3] = {{GZIP, ZSTD, -1}, {BR, GZIP, -1}, {ZSTD, ZLIB, BR}};
    for (int i = 0; i < 3; i++) {
        wi_buf in = WI_BUF_INIT;
        wi_buf_puts(&in, text);
        for (int k = 0; k < 3 && formats[i][k] >= 0; k++) {
            wi_buf next = WI_BUF_INIT;
            append(&next, formats[i][k], in.data, in.len);
            wi_buf_fini(&in);
            in = next;
        }
        expect_decoded(chains[i], &in, text, strlen(text));
        for (size_t len = 1; len < in.len; len++)
            expect_failure(chains[i], in.data, len, WEIR_TRUNCATED, "cut short");
        wi_buf_fini(&in);
    }
}

/* Cut inside, and whole outside. */
TEST(a_cut_below_another_coding)
{
    wi_buf inner = WI_BUF_INIT;
    append(&inner, GZIP, text, strlen(text));
    for (size_t len = 1; len < inner.len; len++) {
        wi_buf outer = WI_BUF_INIT;
        append(&outer, ZSTD, inner.data, len);
        expect_failure("gzip, zstd", outer.data, outer.len, WEIR_TRUNCATED, "gzip:");
        wi_buf_fini(&outer);
    }
    wi_buf_fini(&inner);
}

/* Nothing comes of it, so nobody but the decoder can put an end to it. */
TEST(a_bomb_of_padding)
{
    enum { SIZE = 32 << 20 };
    wi_buf inner = WI_BUF_INIT;
    wi_buf outer = WI_BUF_INIT;
    append(&inner, GZIP, "x", 1);
    size_t len = inner.len;
    REQUIRE(wi_buf_reserve(&inner, SIZE));
    memset(inner.data + len, 0, SIZE);
    append(&outer, ZSTD, inner.data, len + SIZE);
    expect_failure("gzip, zstd", outer.data, outer.len, WEIR_INVALID, "next to nothing");
    wi_buf_fini(&inner);
    wi_buf_fini(&outer);
}

static const char wide_frame[] = "\x28\xb5\x2f\xfd\0\x88\1\0"; /* up to its first block's size */

/* Whether the data come whole or in pieces, the first fault is the one that is told: the window of
 * the second frame is only seen after the first frame has made what is no gzip, and the other way
 * round. */
TEST(the_first_of_two_faults)
{
    wi_buf in = WI_BUF_INIT;
    append(&in, ZSTD, "no gzip at all", 14);
    wi_buf_append(&in, wide_frame, sizeof wide_frame);
    expect_failure("gzip, zstd", in.data, in.len, WEIR_INVALID, "gzip:");
    for (int format = 0; format < FORMATS; format++) {
        wi_buf_clear(&in);
        append(&in, format, wide_frame, sizeof wide_frame);
        wi_buf_puts(&in, "no such data");
        char chain[32];
        snprintf(chain, sizeof chain, "zstd, %s", wi_coding_name(coding_of[format]));
        expect_failure(chain, in.data, in.len, WEIR_TOOLARGE, "window");
    }
    wi_buf_fini(&in);
}

/* More comes after the padding, which is too much of it, if only by a little. */
TEST(just_too_much_padding)
{
    wi_buf inner = WI_BUF_INIT;
    wi_buf outer = WI_BUF_INIT;
    append(&inner, GZIP, "x", 1);
    size_t padding = (1 << 20) + 64 - inner.len;
    REQUIRE(wi_buf_reserve(&inner, padding));
    memset(inner.data + inner.len, 0, padding);
    inner.len += padding;
    append(&inner, GZIP, text, strlen(text));
    append(&outer, GZIP, inner.data, inner.len);
    expect_failure("gzip, gzip", outer.data, outer.len, WEIR_INVALID, "next to nothing");
    wi_buf_fini(&inner);
    wi_buf_fini(&outer);
}

static void expect_codings(const char *value, const char *want)
{
    wi_codings codings = {0};
    wi_buf got = WI_BUF_INIT;
    EXPECT_INT(wi_codings_add(&codings, value, strlen(value), NULL), WEIR_OK);
    for (size_t i = 0; i < codings.len; i++) {
        wi_buf_puts(&got, i ? "," : "");
        wi_buf_puts(&got, wi_coding_name(codings.list[i]));
    }
    EXPECT_STR(wi_buf_cstr(&got), want);
    wi_buf_fini(&got);
}

TEST(content_encodings)
{
    wi_codings codings = {0};
    weir_error err = {0};
    expect_codings("gzip", "gzip");
    expect_codings(" GZip\t", "gzip");
    expect_codings("", "");
    expect_codings("identity", "");
    expect_codings(" , ,deflate,,br", "deflate,br");
    expect_codings("zstd,x-gzip , Identity,br", "zstd,gzip,br");
    EXPECT_INT(wi_codings_add(&codings, "gzip, co\33[m\0press", 18, &err), WEIR_UNSUPPORTED);
    EXPECT_INT(codings.len, 0);
    EXPECT(strstr(err.text, "\"co\\x1B[m") != NULL);
    EXPECT(strchr(err.text, '\33') == NULL);
    EXPECT_INT(wi_codings_add(&codings, "xz", 2, NULL), WEIR_UNSUPPORTED); /* of files only */
    EXPECT_INT(wi_codings_add(&codings, "bzip2", 5, NULL), WEIR_UNSUPPORTED);
    EXPECT_INT(wi_codings_add(&codings, "gzi", 3, NULL), WEIR_UNSUPPORTED);
    EXPECT_INT(wi_codings_add(&codings, "gzipp", 5, NULL), WEIR_UNSUPPORTED);
    EXPECT_INT(wi_codings_add(&codings, "br,br", 5, NULL), WEIR_OK);
    EXPECT_INT(wi_codings_add(&codings, "br,br,br", 8, &err), WEIR_UNSUPPORTED);
    EXPECT(strstr(err.text, "more than 4 times") != NULL);
    EXPECT_INT(codings.len, 2);
    EXPECT_INT(wi_codings_add(&codings, "br,br", 5, NULL), WEIR_OK); /* of two headers */
    EXPECT_INT(codings.len, 4);
}

static weir_status make_and_free(void)
{
    wi_codings codings = {
        .len = 4, .list = {WI_CODING_GZIP, WI_CODING_BR, WI_CODING_ZSTD, WI_CODING_DEFLATE}};
    wi_decoder *decoder = NULL;
    weir_status status = wi_decoder_new(&codings, WI_WINDOW_LOG_HTTP, &decoder, NULL);
    wi_decoder_free(decoder);
    codings = (wi_codings){.len = 2, .list = {WI_CODING_XZ, WI_CODING_BZIP2}};
    decoder = NULL;
    if (!status)
        status = wi_decoder_new(&codings, WI_WINDOW_LOG_FILE, &decoder, NULL);
    wi_decoder_free(decoder);
    return status;
}

TEST(making_one_survives_lack_of_memory)
{
    TORTURE(make_and_free());
}

TESTS(CASE(whole_and_in_pieces), CASE(large_and_hard_to_compress), CASE(cut_anywhere),
      CASE(damaged_anywhere), CASE(what_is_none), CASE(a_failure_stays), CASE(what_follows_the_end),
      CASE(padding_of_xz_comes_by_fours), CASE(a_window_that_is_too_large),
      CASE(a_bomb_in_constant_memory), CASE(codings_are_chained), CASE(a_cut_below_another_coding),
      CASE(a_bomb_of_padding), CASE(content_encodings),
      CASE(a_frame_that_seems_to_begin_in_a_header), CASE(the_first_of_two_faults),
      CASE(just_too_much_padding), CASE(making_one_survives_lack_of_memory))
