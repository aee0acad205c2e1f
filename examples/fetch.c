/*
 * fetch.c: asks for every URL of a template and prints how it went.
 *
 *     fetch 'http://127.0.0.1:8080/products/{1..200}'
 *
 * Rows come to a function of the program instead of a file; ordered, whole, as NDJSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

static int take_rows(void *arg, const char *bytes, size_t len)
{
    size_t *rows = arg;
    for (size_t i = 0; i < len; i++)
        *rows += bytes[i] == '\n';
    return fwrite(bytes, 1, len, stdout) != len; /* anything but 0 ends the job */
}

static int fail(const char *what, const weir_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: fetch URL\n");
        return 2;
    }
    size_t rows = 0;
    const char *url = argv[1];
    weir_fetch_options options = WEIR_FETCH_OPTIONS_INIT;
    options.urls = &url;
    options.urls_len = 1;
    options.job.write = take_rows;
    options.job.write_arg = &rows;

    weir_job *job = NULL;
    weir_error err;
    if (weir_fetch_new(&options, &job, &err) != WEIR_OK)
        return fail("cannot make the job", &err);
    weir_status status = weir_job_start(job, &err);
    if (status == WEIR_OK)
        status = weir_job_wait(job, -1, &err);
    if (status != WEIR_OK) {
        weir_job_free(job);
        return fail("the job failed", &err);
    }

    weir_job_stats stats;
    weir_job_stats_get(job, &stats);
    fprintf(stderr, "%lld of %lld ok, %zu rows, %.1f s of waiting in %.2f s\n", (long long)stats.ok,
            (long long)stats.input, rows, (double)stats.waited / 1e9, (double)stats.elapsed / 1e9);
    weir_job_reason reason;
    for (size_t i = 0; weir_job_reason_get(job, i, &reason) == WEIR_OK; i++)
        fprintf(stderr, "%lld x %s, first: %s\n", (long long)reason.count, reason.reason,
                reason.example);
    weir_job_free(job);
    return stats.ok == stats.input ? EXIT_SUCCESS : EXIT_FAILURE;
}
