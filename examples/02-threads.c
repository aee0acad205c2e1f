/*
 * Fetches products 1 to N, in order: four programs that differ in one line, the kind below.
 *
 *     PROGRAM http://127.0.0.1:8080 200
 *
 * fetch_product is written as if it ran alone: it asks and waits. Whether it then really runs
 * alone, on a few threads, on a fiber of its own or in another process is not its business.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/weir.h>

static const weir_executor_kind kind = WEIR_THREADS;

/* Without pointers, since processes get a copy. */
typedef struct wanted {
    char url[512];
} wanted;

/* The product's JSON, from malloc. */
static void *fetch_product(void *arg, weir_error *err)
{
    const wanted *product = arg;
    weir_http_response *response = NULL;
    if (weir_http_get(product->url, &response, err) != WEIR_OK)
        return NULL; /* err says why */
    char *json = strdup(weir_http_response_body(response, NULL));
    weir_http_response_free(response);
    if (json == NULL) {
        err->status = WEIR_NOMEM;
        snprintf(err->text, sizeof err->text, "no memory for the product");
        return NULL;
    }
    json[strcspn(json, "\r\n")] = '\0';
    return json;
}

/* Prints each product, or its error, at its place. How many there were, or -1 without a start. */
static int fetch_all(weir_executor *executor, wanted *products, size_t n)
{
    weir_map_options options = WEIR_MAP_OPTIONS_INIT;
    options.result.measure = weir_type_measure_string; /* processes copy it */
    options.result.release = free;                     /* if nobody takes it */
    weir_map *map = NULL;
    weir_error err;
    if (weir_map_start(executor, fetch_product, products, n, sizeof *products, &options, &map,
                       &err) != WEIR_OK) {
        fprintf(stderr, "cannot start: %s\n", err.text);
        return -1;
    }
    int ok = 0;
    weir_status status;
    void *json;
    while ((status = weir_map_next(map, &json, &err)) != WEIR_END) {
        if (status == WEIR_OK) {
            puts(json);
            free(json);
            ok++;
        } else {
            fprintf(stderr, "product %zu: %s\n", weir_map_index(map) + 1, err.text);
        }
    }
    weir_map_free(map);
    return ok;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int n = argc == 3 && strlen(argv[1]) < 480 ? atoi(argv[2]) : 0;
    wanted *products = n > 0 ? calloc((size_t)n, sizeof *products) : NULL;
    if (products == NULL) {
        fprintf(stderr, "usage: %s BASE_URL PRODUCTS\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < n; i++)
        snprintf(products[i].url, sizeof products[i].url, "%s/products/%d", argv[1], i + 1);

    weir_executor_options options = WEIR_EXECUTOR_OPTIONS_INIT;
    options.kind = kind;
    weir_executor *executor = NULL;
    weir_error err;
    if (weir_executor_new(&options, &executor, &err) != WEIR_OK) {
        fprintf(stderr, "cannot make the executor: %s\n", err.text);
        free(products);
        return 2;
    }
    double begin = seconds();
    int ok = fetch_all(executor, products, (size_t)n);
    fprintf(stderr, "%d of %d products with %s in %.2f s\n", ok < 0 ? 0 : ok, n,
            weir_executor_kind_name(kind), seconds() - begin);
    weir_executor_free(executor);
    free(products);
    return ok == n ? 0 : ok < 0 ? 2 : 1;
}
