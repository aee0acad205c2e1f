/* mock_product.c: products from a hash of their number. Its invariant: no input but the number. */
#include "mock_product.h"

#include <inttypes.h>
#include <stddef.h>

#include "mock_fault.h"

static const char *const looks[] = {"quiet", "bright", "folding", "sturdy",
                                    "tiny",  "round",  "smooth",  "light"};
static const char *const stuffs[] = {"oak",   "copper", "linen", "glass",
                                     "steel", "cork",   "wool",  "ceramic"};
static const char *const things[] = {"kettle", "lamp",  "chair",   "notebook",
                                     "basket", "clock", "blanket", "teapot"};
static const char *const rooms[] = {"kitchen", "garden", "office", "hallway"};
static const char *const currencies[] = {"EUR", "EUR", "USD", "GBP"};

/* The next `of` alternatives' worth of a hash. */
static unsigned pick(uint64_t *hash, unsigned of)
{
    unsigned chosen = (unsigned)(*hash % of);
    *hash /= of;
    return chosen;
}

void mock_product_add(mock_text *text, uint64_t n)
{
    uint64_t a = mock_hash(n);
    uint64_t b = mock_hash(a);
    const char *look = looks[pick(&a, 8)];
    const char *stuff = stuffs[pick(&a, 8)];
    const char *thing = things[pick(&a, 8)];
    const char *room = rooms[pick(&a, 4)];
    unsigned cents = 100 + pick(&a, 49900);
    unsigned stock = pick(&a, 1000);
    unsigned rating = 10 + pick(&a, 41);
    const char *currency = currencies[pick(&b, 4)];
    unsigned year = 2023 + pick(&b, 3), month = 1 + pick(&b, 12), day = 1 + pick(&b, 28);
    unsigned hour = pick(&b, 24), minute = pick(&b, 60), second = pick(&b, 60);
    mock_text_addf(text,
                   "{\"id\": %" PRIu64 ", \"name\": \"%c%s %s %s\", "
                   "\"description\": \"A %s for the %s, made of %s.\", \"price\": %u.%02u, "
                   "\"currency\": \"%s\", \"stock\": %u, \"rating\": %u.%u, "
                   "\"tags\": [\"%s\", \"%s\", \"%s\", \"%s\"], "
                   "\"updated_at\": \"%u-%02u-%02uT%02u:%02u:%02uZ\"}",
                   n, look[0] - 'a' + 'A', look + 1, stuff, thing, thing, room, stuff, cents / 100,
                   cents % 100, currency, stock, rating / 10, rating % 10, look, stuff, thing, room,
                   year, month, day, hour, minute, second);
}
