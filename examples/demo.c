/*
 * The 200-product experiment: one function under all four kinds of executor, measured.
 *
 *     demo [--products N] [--latency MS] [BASE_URL]
 *
 * Each product takes its latency (1,000 ms if not said otherwise). Without a URL that is a sleep,
 * which is all that waiting for a server means to this side; with one, say of `weir mock --latency
 * 1s`, it is a request. One by one only every tenth product is fetched and the rest reckoned, as
 * the table says, since nobody wants to watch the full 200 s.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/weir.h>

/* What a task is given and what it returns. Plain values: they also cross into processes. */
typedef struct wanted {
    int number;
    int64_t latency; /* ns */
    char url[512];   /* empty: sleep instead */
} wanted;

typedef struct product {
    int number;
    size_t bytes;
} product;

typedef struct way {
    const char *name;
    weir_executor_kind kind;
    int max_workers; /* 0: as the kind has it */
    int one_in;      /* products really fetched */
} way;

static const way ways[] = {
    {"one by one", WEIR_INLINE, 0, 10},
    {"threads", WEIR_THREADS, 16, 1},
    {"fibers", WEIR_FIBERS, 0, 1},
    {"processes", WEIR_PROCESSES, 16, 1},
};

/* The function that is run in four ways. It waits, and knows nothing of how. */
static void *fetch_product(void *arg, weir_error *err)
{
    const wanted *w = arg;
    product p = {.number = w->number};
    if (w->url[0] != '\0') {
        weir_http_response *response = NULL;
        if (weir_http_get(w->url, &response, err) != WEIR_OK)
            return NULL;
        weir_http_response_body(response, &p.bytes);
        weir_http_response_free(response);
    } else if (weir_sleep(w->latency, err) != WEIR_OK) {
        return NULL;
    }
    product *result = malloc(sizeof *result);
    if (result == NULL) {
        err->status = WEIR_NOMEM;
        snprintf(err->text, sizeof err->text, "no memory for product %d", w->number);
        return NULL;
    }
    *result = p;
    return result;
}

/* All products, in order. 0, or 1 if one failed or came at the wrong place. */
static int fetch_all(weir_executor *executor, wanted *products, int n)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.name = "fetch_product";
    options.result = (weir_type)WEIR_TYPE_MALLOCED(product);
    weir_map *map = NULL;
    weir_error err;
    if (weir_map_start(executor, fetch_product, products, (size_t)n, sizeof *products, &options,
                       &map, &err) != WEIR_OK) {
        fprintf(stderr, "demo: %s\n", err.text);
        return 1;
    }
    int failed = 0, expected = 1;
    weir_status status;
    void *result;
    while ((status = weir_map_next(map, &result, &err)) != WEIR_END) {
        if (status != WEIR_OK) {
            fprintf(stderr, "demo: product %d: %s\n", expected, err.text);
            failed = 1;
        } else {
            failed |= ((product *)result)->number != expected;
            free(result);
        }
        expected++;
    }
    weir_map_free(map);
    return failed || expected != n + 1;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Measures one way and prints its line. *first: the seconds of the first one. 0 or 1. */
static int play(const way *how, wanted *products, int n, double *first)
{
    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = how->kind;
    options.max_workers = how->max_workers;
    weir_executor *executor = NULL;
    weir_error err;
    if (weir_executor_new(&options, &executor, &err) != WEIR_OK) {
        fprintf(stderr, "demo: %s\n", err.text);
        return 1;
    }
    int some = n / how->one_in > 0 ? n / how->one_in : n;
    double begin = seconds();
    int failed = fetch_all(executor, products, some);
    double measured = seconds() - begin, whole = measured * n / some;
    weir_executor_free(executor);
    if (failed)
        return 1;
    if (*first == 0)
        *first = whole;
    printf("%-12s %10.2f s %8.1f x", how->name, whole, *first / whole);
    if (some < n)
        printf("   reckoned from %d of %d, measured: %.2f s", some, n, measured);
    else if (how->max_workers > 0)
        printf("   at most %d at once", how->max_workers);
    printf("\n");
    fflush(stdout);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: demo [--products N] [--latency MS] [BASE_URL]\n");
    return 2;
}

int main(int argc, char **argv)
{
    int n = 200, latency = 1000;
    const char *base = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--products") == 0 && i + 1 < argc)
            n = atoi(argv[++i]);
        else if (strcmp(argv[i], "--latency") == 0 && i + 1 < argc)
            latency = atoi(argv[++i]);
        else if (argv[i][0] != '-' && base == NULL && strlen(argv[i]) < 480)
            base = argv[i];
        else
            return usage();
    }
    if (n < 1 || n > 1000000 || latency < 1)
        return usage();
    wanted *products = calloc((size_t)n, sizeof *products);
    if (products == NULL)
        return usage();
    for (int i = 0; i < n; i++) {
        products[i].number = i + 1;
        products[i].latency = WEIR_MILLISECONDS(latency);
        if (base != NULL)
            snprintf(products[i].url, sizeof products[i].url, "%s/products/%d", base, i + 1);
    }

    if (base != NULL)
        printf("%d products from %s\n\n", n, base);
    else
        printf("%d products, each after a wait of %d ms\n\n", n, latency);
    printf("%-12s %12s %10s\n", "kind", "time", "faster");
    double first = 0;
    int failed = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && !failed; i++)
        failed = play(&ways[i], products, n, &first);
    free(products);
    return failed;
}
