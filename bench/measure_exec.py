"""weir exec: many commands that do nothing, against xargs and GNU parallel; and its start-up.

Each is given the same list, runs as many at once, and takes its own start and end with it. Nothing is
pinned: starting processes is what is measured, and that is work for every core. weir writes its rows, to
/dev/null; the commands print nothing.
"""

import statistics

from common import OUT, WEIR, Failed, Run, measure, processor

AT_ONCE = 64


def starter(count, *command):
    """A case: a whole run of `count` commands."""

    def run():
        cost, _ = measure(command, "-")
        return Run(cost["wall"], cost["peak_rss_kb"], count, processor(cost))

    return run


def numbers(count):
    """A file with the numbers up to count, one a line."""
    path = OUT / f"numbers-{count}.txt"
    path.write_text("".join(f"{n}\n" for n in range(1, count + 1)), encoding="utf-8")
    return path


def weir(count):
    if not WEIR.exists():
        raise Failed(f"{WEIR} is not built")
    return starter(count, WEIR, "exec", "-q", "-j", AT_ONCE, "-i", numbers(count), "-o",
                   "/dev/null", "true", "{}")


def commands(bench):
    """5,000 × true, 64 at once."""
    count = 500 if bench.quick else 5000
    name = f"{count:,} × true, -j {AT_ONCE}"
    runs = bench.alternate(
        name,
        {
            "weir exec": weir(count),
            "xargs -P": starter(count, "xargs", "-a", numbers(count), "-P", AT_ONCE, "-n", 1, "true"),
            "parallel": starter(
                count, "parallel", "--will-cite", "-j", AT_ONCE, "-a", numbers(count), "true", "{}"
            ),
        },
    )
    for label, of in runs.items():
        bench.figure(name, label, statistics.median(run.seconds for run in of), "s")
        bench.figure(
            name, f"{label}: processor", statistics.median(run.processor for run in of), "s"
        )
    bench.ratio(name, runs, "weir exec", "xargs -P", 0.85, of="seconds", at_least=False)
    bench.ratio(name, runs, "weir exec", "xargs -P", of="processor", at_least=False)
    bench.ratio(name, runs, "weir exec", "parallel", 0.25, of="seconds", at_least=False)


def one_command(bench):
    """A single command: what weir exec takes to start and to end."""
    cases = {
        "weir exec true ::: x": [WEIR, "exec", "-o", "/dev/null", "true", ":::", "x"],
        "xargs": ["xargs", "-a", numbers(1), "-n", 1, "true"],
        "parallel": ["parallel", "--will-cite", "true", ":::", "x"],
    }
    times = {label: [] for label in cases}
    for _ in range(20 if bench.quick else 100):
        for label, command in list(cases.items()):
            try:
                times[label].append(measure(command, "-")[0]["wall"] * 1e3)
            except Failed as why:
                bench.notes.append(f"one command: {label} not measured: {why}")
                del cases[label], times[label]
    for label, of in times.items():
        bound = 10 if label.startswith("weir") else None
        bench.figure("one command", label, statistics.median(of), "ms", bound=bound)
