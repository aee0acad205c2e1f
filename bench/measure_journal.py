"""What a journal costs: the same run with one and without, at 20,000 rows a second and at full speed."""

import statistics

from common import CLIENT_CORE, OUT, WEIR, Failed, Run, measure, nginx, processor

OUTPUT = OUT / "journal.ndjson"
JOURNAL = OUT / "journal.ndjson.weir"


def remove_outputs():
    for path in OUT.glob("journal.ndjson*"):
        path.unlink()


def fetch(base, requests, *options):
    if not WEIR.exists():
        raise Failed("weir is not built")
    remove_outputs()
    command = [WEIR, "fetch", "--progress", "none", "-o", OUTPUT, "-j", 64, "--lanes", 1, *options]
    cost, _ = measure([*command, base + "/products/{1.." + str(requests) + "}"], CLIENT_CORE)
    return Run(cost["wall"], cost["peak_rss_kb"], requests, processor(cost))


def cost(bench):
    """The share of throughput and of processor time that the journal takes, and its size."""
    requests = 60000 if bench.quick else 300000
    with nginx() as server:
        cases = {
            "with a journal": lambda: fetch(server.url, requests),
            "without": lambda: fetch(server.url, requests, "--no-journal"),
            "20,000/s, with": lambda: fetch(server.url, requests, "--rate", "20000/s"),
            "20,000/s, without": lambda: fetch(
                server.url, requests, "--rate", "20000/s", "--no-journal"
            ),
        }
        runs = bench.alternate("journal", cases)
        for label, of in runs.items():
            bench.figure("journal", label, statistics.median(run.rate for run in of), "rows/s")
            each = statistics.median(run.processor for run in of) / requests * 1e6
            bench.figure("journal", f"{label}: processor", each, "µs a row")
        bench.ratio("journal", runs, "20,000/s, with", "20,000/s, without", 0.9)
        bench.ratio("journal", runs, "with a journal", "without")
        bench.ratio("journal", runs, "with a journal", "without", of="processor", at_least=False)
        fetch(server.url, requests)
    size = JOURNAL.stat().st_size / requests
    bench.figure("journal", "bytes of journal an item", size, "B", bound=64)
    remove_outputs()
