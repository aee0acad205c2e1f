/* archive.c: see archive.h. Its invariant: raw bytes are asked for only when all that came before
 * them was decoded, so what can be given is given first, be the reader blocked or failing. */
#include "archive.h"

typedef struct magic {
    wi_coding coding;
    size_t len;
    const char *bytes;
} magic;

static const magic magics[] = {
    {WI_CODING_GZIP, 2, "\x1F\x8B"},
    {WI_CODING_ZSTD, 4, "\x28\xB5\x2F\xFD"},
    {WI_CODING_ZSTD, 4, "\x50\x2A\x4D\x18"}, /* a skippable frame, of sixteen kinds */
    {WI_CODING_XZ, 6, "\xFD\x37zXZ\0"},
    {WI_CODING_BZIP2, 10, "BZh91AY&SY"},       /* of any level; then a block, */
    {WI_CODING_BZIP2, 10, "BZh9\x17rE8P\x90"}, /* or the end at once */
};

static bool agrees(const magic *m, const char *bytes, size_t i)
{
    if (m->coding == WI_CODING_BZIP2 && i == 3)
        return bytes[i] >= '1' && bytes[i] <= '9';
    unsigned mask = i == 0 && m->bytes[0] == 0x50 ? 0xF0 : 0xFF;
    return ((unsigned char)bytes[i] & mask) == (unsigned char)m->bytes[i];
}

wi_archive_guess wi_archive_guess_coding(const char *bytes, size_t len, wi_coding *coding)
{
    wi_archive_guess found = WI_ARCHIVE_NONE;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        size_t n = len < magics[i].len ? len : magics[i].len;
        size_t same = 0;
        while (same < n && agrees(&magics[i], bytes, same))
            same++;
        if (same == magics[i].len) {
            *coding = magics[i].coding;
            return WI_ARCHIVE_IS;
        }
        if (same == n)
            found = WI_ARCHIVE_PERHAPS;
    }
    return found;
}

weir_status wi_archive_begin(wi_archive *archive, wi_coding coding, weir_error *err)
{
    wi_codings codings = {.len = 1, .list = {coding}};
    archive->coding = coding;
    archive->taken = 0;
    return wi_decoder_new(&codings, WI_WINDOW_LOG_FILE, &archive->decoder, err);
}

void wi_archive_end(wi_archive *archive)
{
    wi_decoder_free(archive->decoder);
    archive->decoder = NULL;
}

static weir_status fail_decoding(const wi_archive *archive, const weir_error *why, weir_error *err)
{
    switch (why->status) {
    case WEIR_NOMEM:
        return wi_fail_nomem(err);
    case WEIR_TRUNCATED:
        return wi_fail(err, WEIR_TRUNCATED, "%s is cut short: its %s data end after %lld bytes",
                       archive->name, wi_coding_name(archive->coding), (long long)archive->taken);
    case WEIR_INVALID:
        return wi_fail(err, WEIR_INVALID, "%s is damaged: %s", archive->name, why->text);
    default:
        return wi_fail(err, why->status, "cannot read %s: %s", archive->name, why->text);
    }
}

/* *n raw bytes more. */
static weir_status refill(wi_archive *archive, size_t *n, weir_error *err)
{
    archive->at = archive->len = 0;
    weir_status status = archive->read(archive->arg, archive->raw, archive->size, n, err);
    if (!status)
        archive->len = *n;
    return status;
}

weir_status wi_archive_read(wi_archive *archive, char *dst, size_t size, size_t *n, weir_error *err)
{
    weir_error why;
    for (;;) {
        size_t used = 0;
        size_t made = 0;
        if (wi_decoder_decode(archive->decoder, archive->raw + archive->at,
                              archive->len - archive->at, &used, dst, size, &made, &why) != WEIR_OK)
            return fail_decoding(archive, &why, err);
        archive->at += used;
        archive->taken += (int64_t)used;
        if (made) {
            *n = made;
            return WEIR_OK;
        }
        size_t more = 0;
        weir_status status = refill(archive, &more, err);
        if (status)
            return status;
        if (!more && wi_decoder_finish(archive->decoder, &why) != WEIR_OK)
            return fail_decoding(archive, &why, err);
        if (!more) {
            *n = 0;
            return WEIR_OK;
        }
    }
}
