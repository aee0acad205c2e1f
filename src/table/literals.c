/* literals.c: see literals.h. Its invariant: a known set has at least one text. */
#include "literals.h"

#include <string.h>

#include "needle.h"

enum { MOST_CROSSED = 16, USEFUL = 24 };

void wi_literals_none(wi_literals *set)
{
    set->known = false;
    set->n = 0;
}

void wi_literals_one(wi_literals *set, const char *bytes, size_t len)
{
    set->known = true;
    set->n = 1;
    set->list[0].len = (unsigned char)len;
    if (len)
        memcpy(set->list[0].bytes, bytes, len);
}

static bool has(const wi_literals *set, const wi_literal *text)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->list[i].len == text->len &&
            memcmp(set->list[i].bytes, text->bytes, text->len) == 0)
            return true;
    return false;
}

void wi_literals_unite(wi_literals *set, const wi_literals *other)
{
    set->known = set->known && other->known;
    for (size_t i = 0; set->known && i < other->n; i++) {
        if (has(set, &other->list[i]))
            continue;
        if (set->n < WI_LITERALS_MAX)
            set->list[set->n++] = other->list[i];
        else
            set->known = false;
    }
}

bool wi_literals_append(wi_literals *set, const wi_literals *other)
{
    wi_literals result = {.known = true};
    if (!set->known || !other->known || set->n * other->n > MOST_CROSSED + set->n)
        return false;
    if (set->n * other->n > WI_LITERALS_MAX)
        return false;
    for (size_t i = 0; i < set->n; i++) {
        for (size_t k = 0; k < other->n; k++) {
            const wi_literal *a = &set->list[i];
            const wi_literal *b = &other->list[k];
            if (a->len + b->len > WI_LITERAL_SIZE)
                return false;
            wi_literal *text = &result.list[result.n++];
            text->len = (unsigned char)(a->len + b->len);
            memcpy(text->bytes, a->bytes, a->len);
            memcpy(text->bytes + a->len, b->bytes, b->len);
        }
    }
    *set = result;
    return true;
}

/* How seldom the text will be met, roughly: two rare bytes are as good as many common ones. */
static unsigned rarity(const wi_literal *text)
{
    unsigned sum = 0;
    for (size_t i = 0; i < text->len; i++)
        sum += 6 + (255 - wi_byte_rank((unsigned char)text->bytes[i])) / 4;
    return sum;
}

/* Of the whole set: its commonest text counts, and each further one costs a little. */
static int score(const wi_literals *set)
{
    if (!set->known)
        return -1;
    unsigned least = 1000;
    for (size_t i = 0; i < set->n; i++)
        if (rarity(&set->list[i]) < least)
            least = rarity(&set->list[i]);
    return least ? (int)(least * 16 / (15 + set->n)) : -1;
}

void wi_literals_prefer(wi_literals *set, const wi_literals *other)
{
    if (score(other) > score(set))
        *set = *other;
}

bool wi_literals_useful(const wi_literals *set)
{
    return score(set) >= USEFUL;
}
