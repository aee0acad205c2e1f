/*
 * gate_plot.c: draws what the scenarios of gate_simulation.h come to (docs/gate.svg), and puts it
 * into a table (in docs/gate.md).
 *
 *   gate_plot svg              to standard output
 *   gate_plot table
 *   gate_plot check SVG PAGE   are these what the simulation gives? In TAP.
 *
 * Everything is made of whole numbers, so that it is the same wherever it is made.
 */
#include <string.h>

#include "buf.h"
#include "gate_simulation.h"

enum {
    COLUMNS = 4,
    WIDTH = 220, /* of a panel, */
    HEIGHT = 130,
    LEFT = 12,
    TOP = 26,
    ACROSS = 196, /* and of the axes in it */
    UP = 84,
    MOST = 120, /* percent */
    POINTS = 50,
    HEAD = 48,
};

static int scaled(double value, double most, int pixels)
{
    double part = value / most;
    return (int)((part < 0 ? 0 : part > 1 ? 1 : part) * pixels + 0.5);
}

/* In percent, of the scenario's whole capacity. */
static double capacity_at(const sim_scenario *is, int64_t round)
{
    double percent = 100;
    for (int i = 0; i < SIM_CHANGES && is->changes[i].round; i++)
        if (round >= is->changes[i].round)
            percent = is->changes[i].state == SIM_UP ? 100 * is->changes[i].factor : 0;
    return percent;
}

static void draw_capacity(wi_buf *out, const sim_scenario *is)
{
    wi_buf_printf(out, "<path class=\"can\" d=\"M%d %d", LEFT, TOP + UP);
    double last = -1;
    for (int64_t i = 0; i <= is->rounds; i++) {
        double now = capacity_at(is, i < is->rounds ? i : i - 1);
        int x = LEFT + scaled((double)i, (double)is->rounds, ACROSS);
        if (now != last && last >= 0)
            wi_buf_printf(out, "H%d", x);
        if (now != last)
            wi_buf_printf(out, "V%d", TOP + UP - scaled(now, MOST, UP));
        last = now;
    }
    wi_buf_printf(out, "H%dV%dz\"/>\n", LEFT + ACROSS, TOP + UP);
}

typedef struct bin {
    double good;    /* percent of what the server can give when it is whole */
    double refused; /* percent of what was asked */
    int64_t to;
} bin;

static bin bin_of(const sim *s, int i, int points)
{
    int64_t from = s->is->rounds * i / points;
    int64_t to = s->is->rounds * (i + 1) / points;
    int64_t good = 0, refused = 0;
    for (int64_t k = from; k < to; k++) {
        good += s->rounds[k].good;
        refused += s->rounds[k].refused;
    }
    double each = sim_capacity(s->is, 1) * (double)s->is->service / WI_SECOND;
    return (bin){
        .good = 100 * (double)good / (each * (double)(to - from)),
        .refused = good + refused ? 100 * (double)refused / (double)(good + refused) : 0,
        .to = to,
    };
}

static void draw_line(wi_buf *out, const sim *s, bool refused)
{
    wi_buf_printf(out, "<polyline class=\"%s\" points=\"", refused ? "no" : "is");
    int points = s->is->rounds < POINTS ? (int)s->is->rounds : POINTS;
    for (int i = 0; i < points; i++) {
        bin b = bin_of(s, i, points);
        int x = LEFT + scaled((double)b.to, (double)s->is->rounds, ACROSS);
        int y = TOP + UP - scaled(refused ? b.refused : b.good, MOST, UP);
        wi_buf_printf(out, "%s%d,%d", i ? " " : "", x, y);
    }
    wi_buf_puts(out, "\"/>\n");
}

static void draw_panel(wi_buf *out, const sim *s, int index)
{
    int x = index % COLUMNS * WIDTH;
    int y = HEAD + index / COLUMNS * HEIGHT;
    int settled = LEFT + scaled((double)sim_settling(s->is), (double)s->is->rounds, ACROSS);
    wi_buf_printf(out, "<g transform=\"translate(%d %d)\">\n", x, y);
    wi_buf_printf(out, "<text x=\"%d\" y=\"%d\">%s</text>\n", LEFT, TOP - 8, s->is->name);
    draw_capacity(out, s->is);
    wi_buf_printf(out, "<path class=\"by\" d=\"M%d %dV%d\"/>\n", settled, TOP, TOP + UP);
    draw_line(out, s, false);
    draw_line(out, s, true);
    wi_buf_printf(out, "<text class=\"end\" x=\"%d\" y=\"%d\">%d</text>\n</g>\n", LEFT + ACROSS,
                  TOP + UP + 10, (int)s->is->rounds);
}

static void draw(wi_buf *out)
{
    int rows = (SIM_SCENARIOS + COLUMNS - 1) / COLUMNS;
    wi_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\">\n"
                  "<style>text{font-size:10px;fill:#333}.end{text-anchor:end;font-size:8px}"
                  ".can{fill:#e4e8ec}.is{fill:none;stroke:#1a6fb5;stroke-width:1.4}"
                  ".no{fill:none;stroke:#d03030}.by{stroke:#999;stroke-dasharray:2 2}</style>\n"
                  "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                  COLUMNS * WIDTH, HEAD + rows * HEIGHT);
    wi_buf_printf(
        out,
        "<text x=\"%d\" y=\"20\">What the server can give (grey), what it gives (blue), and "
        "what part of the requests it refuses (red), over the round trips; dashed: from "
        "where on it is judged.</text>\n",
        LEFT);
    for (int i = 0; i < SIM_SCENARIOS; i++) {
        sim *s = sim_new(&sim_scenarios[i]);
        sim_run(s);
        draw_panel(out, s, i);
        sim_free(s);
    }
    wi_buf_puts(out, "</svg>\n");
}

static void list_span(wi_buf *out, const sim *s, const sim_span *span, bool first)
{
    wi_buf_printf(out, "| %s | %d to %d | ", first ? s->is->name : "", (int)span->from,
                  (int)span->to);
    if (span->state == SIM_UP)
        wi_buf_printf(out, "%d%% | %d%% | %d.%02d%% |\n", (int)(100 * span->used + 0.5),
                      (int)(100 * span->worst + 0.5), (int)(100 * span->refused),
                      (int)(10000 * span->refused) % 100);
    else
        wi_buf_printf(out, "(gone) | | %d asked |\n", (int)span->asked);
}

static void list(wi_buf *out)
{
    wi_buf_puts(out, "| server | round trips | used | worst | refused |\n"
                     "|---|---|---|---|---|\n");
    for (int i = 0; i < SIM_SCENARIOS; i++) {
        sim_span spans[SIM_CHANGES + 1];
        sim *s = sim_new(&sim_scenarios[i]);
        sim_run(s);
        int n = sim_spans(s, spans);
        for (int k = 0; k < n; k++)
            if (spans[k].to > spans[k].from)
                list_span(out, s, &spans[k], k == 0);
        sim_free(s);
    }
}

/* Does the file hold that text? */
static bool holds(const char *path, const char *text)
{
    wi_buf file = WI_BUF_INIT;
    char piece[4096];
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        wi_buf_append(&file, piece, n);
    fclose(f);
    const char *whole = wi_buf_cstr(&file);
    bool found = whole && strstr(whole, text);
    wi_buf_fini(&file);
    return found;
}

static int check(const wi_buf *svg, const wi_buf *table, char **paths)
{
    bool drawn = holds(paths[0], svg->data);
    bool listed = holds(paths[1], table->data);
    printf("1..2\n%sok 1 - the plot is what the simulation gives (else: make plots)\n"
           "%sok 2 - so is the table\n",
           drawn ? "" : "not ", listed ? "" : "not ");
    return drawn && listed ? 0 : 1;
}

int main(int argc, char **argv)
{
    wi_buf svg = WI_BUF_INIT;
    wi_buf table = WI_BUF_INIT;
    draw(&svg);
    list(&table);
    int code = 2;
    if (!wi_buf_cstr(&svg) || !wi_buf_cstr(&table))
        fputs("gate_plot: out of memory\n", stderr);
    else if (argc == 2 && strcmp(argv[1], "svg") == 0)
        code = fputs(svg.data, stdout) < 0;
    else if (argc == 2 && strcmp(argv[1], "table") == 0)
        code = fputs(table.data, stdout) < 0;
    else if (argc == 4 && strcmp(argv[1], "check") == 0)
        code = check(&svg, &table, argv + 2);
    else
        fputs("usage: gate_plot svg | table | check SVG PAGE\n", stderr);
    wi_buf_fini(&svg);
    wi_buf_fini(&table);
    return code;
}
