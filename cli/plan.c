/* plan.c: what a run would do. One fact a line, the word for it in front. */
#include "plan.h"

#include <inttypes.h>
#include <string.h>

#include "units.h"

static void print_items(FILE *out, const weir_job_plan *p, const job_nouns *nouns,
                        const term_style *style)
{
    units_text items, origins;
    bool open = p->items < 0;
    int64_t n = open ? p->counted : p->items;
    fprintf(out, "%s%s%s %s%s", style->bold, open ? "more than " : "", units_count(&items, n),
            n == 1 ? nouns->one : nouns->many, style->reset);
    if (nouns->server)
        fprintf(out, " to %s %s", units_count(&origins, p->origins),
                p->origins == 1 ? nouns->server : nouns->servers);
    fprintf(out, ", none %s\n", nouns->started);
    for (size_t i = 0; i < p->examples_len; i++)
        fprintf(out, "  %s\n", p->examples[i]);
    if (n > (int64_t)p->examples_len && p->examples_len)
        fputs("  …\n", out);
    if (p->faulty)
        fprintf(out, "%s%s of them would fail before they start%s%s%s\n", style->red,
                units_count(&items, p->faulty), style->reset, p->first_fault ? ": " : "",
                p->first_fault ? p->first_fault : "");
}

static void print_file(FILE *out, const char *word, const char *path)
{
    char shown[512];
    fprintf(out, "%-12s %s\n", word,
            strcmp(path, "-") != 0 ? term_escape(shown, sizeof shown, path) : "standard output");
}

void plan_print(FILE *out, const weir_job_plan *p, const job_nouns *nouns, const plan_files *files,
                const term_style *style)
{
    units_text a, b;
    print_items(out, p, nouns, style);
    fprintf(out, "%-12s %s%s\n", nouns->hands ? nouns->hands : "in flight",
            p->limit_is_found ? "found while running, at most " : "", units_count(&a, p->limit));
    if (!nouns->hands)
        fprintf(out, "lanes        %s\n", units_count(&a, p->lanes));
    fprintf(out, "descriptors  %s needed, %s allowed\n", units_count(&a, p->descriptors_needed),
            units_count(&b, p->descriptors_allowed));
    if (p->rate > 0)
        fprintf(out, "rate         %s%s%s\nshortest     %s at that rate\n", units_rate(&a, p->rate),
                nouns->server ? " to each " : "", nouns->server ? nouns->server : "",
                units_time(&b, p->shortest));
    else if (!nouns->hands)
        fputs("rate         not limited\n", out);
    print_file(out, "rows", files->output ? files->output : "-");
    if (files->errors)
        print_file(out, "failed rows", files->errors);
    if (files->save)
        print_file(out, "bodies", files->save);
}
