"""Killed at any moment and resumed, a run ends with the rows of an undisturbed one.

The short form kills a dozen runs; with WEIR_LONG=1 (make reliability) there are two hundred, and the
record of every write is played back up to each of its points. Each run is made from a seed, which
stands in its name: it can be run again with -k.
"""

import random

import pytest

from disk import Disk, read_record
from kill import (LONG, Exec, Fetch, Look, Scan, committed, crash_env, has_asked, judge,
                  random_moment)

RUNS = 201 if LONG else 12
SEED = 1000  # of the first run; the others follow


def print_table(request, head, rows):
    """Past pytest's capturing: it is to be pasted into docs/reliability.md."""
    write = request.config.pluginmanager.get_plugin("terminalreporter").write_line
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for line in ["", head, "|---" * (head.count("|") - 1) + "|", *rows]:
            write(line)


@pytest.fixture(scope="module")
def tallies(request):
    """What the runs came to; printed when all have been made."""
    found = {}
    yield found
    rows = []
    for (kind, output), runs in sorted(found.items()):
        total = {name: sum(run[name] for run in runs)
                 for name in ("kills", "lost", "twice", "repeats")}
        again = f"{total['repeats']} | {max(run['most'] for run in runs)}"
        rows.append(f"| {kind} | {output} | {len(runs)} | {total['kills']} | {total['lost']} | "
                    f"{total['twice']} | {again if kind != 'scan' else '– | –'} |")
    print_table(request, "| kind | output | runs | kills | lost | twice | asked again | at most after "
                "one kill |", rows)


def subject_for(number, weir, mock, folder):
    """One of all kinds of runs, so that each kind is made in all forms."""
    chance = random.Random(SEED + number)
    kind, form = number % 3, number // 3
    look = Look(csv=bool(form & 1), unordered=bool(form >> 1 & 1), errors=chance.random() < 0.5,
                save=kind == 0 and chance.random() < 0.5, stdin=chance.random() < 0.4,
                items=[60, 120, 40][kind] * (4 if LONG else 1),
                commit_every=chance.choice(["1ms", "5ms", "30ms"]))
    if kind == 0:
        return Fetch(weir, folder, look, mock, SEED + number)
    if kind == 1:
        return Scan(weir, folder, look, SEED + number, records=chance.random() < 0.5,
                    listed=chance.random() < 0.6)
    return Exec(weir, folder, look)


def look_text(look):
    return " ".join(["csv" if look.csv else "ndjson",
                     "unordered" if look.unordered else "ordered"])


class Killed:
    """A run that is killed, and killed again while it is resumed."""

    def __init__(self, subject, sanitized, scratch):
        self.subject = subject
        self.sanitized = sanitized
        self.scratch = scratch
        self.trail = []
        self.kills = self.repeats = self.most = 0
        self.known = self.asked = 0  # committed, and asked for, when it was killed last

    def strike(self, moment):
        options = ["--resume"] if self.trail else []
        struck = moment.strike(self.subject, self.sanitized, *options)
        self.trail.append(moment.text + ("" if struck else " (it had ended)"))
        if struck:
            self.kills += 1
            self.account(committed(self.subject.output, self.scratch))
        return struck

    def account(self, known):
        """What was asked for and did not get to be committed is asked for again."""
        asked = self.subject.asked()
        if asked is None:
            return
        again = asked - self.asked - (known - self.known)
        self.repeats += again
        self.most = max(self.most, again)
        self.known, self.asked = known, asked


@pytest.mark.parametrize("number", range(RUNS), ids=lambda number: f"seed{SEED + number}")
def test_killed_and_resumed(weir, mock, tmp_path, sanitized, tallies, number):
    subject = subject_for(number, weir, mock, tmp_path)
    calm = subject.undisturbed(sanitized)
    chance = random.Random(SEED + number)
    run = Killed(subject, sanitized, tmp_path)
    for strike in range(chance.randrange(1, 5)):
        if not run.strike(random_moment(chance, subject, calm, 0.8 / (1 + strike))):
            break
        if subject.look.unordered:
            subject.shuffle(chance)
    left, asked = subject.look.items - run.known, run.asked
    done = subject.finish("--resume")
    verdict = judge(subject, calm, done, tmp_path)
    name = f"{look_text(subject.look)}"
    tallies.setdefault((subject.kind, name), []).append(
        {"kills": run.kills, "lost": verdict.lost, "twice": verdict.twice,
         "repeats": run.repeats, "most": run.most})
    assert verdict == (0, 0, []), (subject.look, run.trail, done.log)
    if asked and run.kills == len(run.trail):
        slack = subject.jobs + (subject.look.items // 4 if subject.kind == "fetch" else 0)
        assert subject.asked() - asked <= left + slack, (subject.look, run.trail, done.log)


@pytest.mark.skipif(not LONG, reason="long: WEIR_LONG=1")
@pytest.mark.parametrize("unordered", [False, True], ids=["ordered", "unordered"])
def test_many_killed_four_times(weir, mock, tmp_path, sanitized, tallies, unordered):
    """With the commits that a user has who gives no options."""
    look = Look(csv=False, unordered=unordered, errors=True, save=False, stdin=False, items=30_000,
                commit_every="1s")
    subject = Fetch(weir, tmp_path, look, mock, SEED)
    subject.jobs = 100
    calm = subject.undisturbed(sanitized)
    run = Killed(subject, sanitized, tmp_path)
    for _ in range(4):
        assert run.strike(has_asked(subject.asked() + 6000)), run.trail
    done = subject.finish("--resume")
    verdict = judge(subject, calm, done, tmp_path)
    name = f"{look_text(look)}, 30,000 in each"
    tallies.setdefault(("fetch", name), []).append(
        {"kills": run.kills, "lost": verdict.lost, "twice": verdict.twice,
         "repeats": run.repeats, "most": run.most})
    assert verdict == (0, 0, []), (run.trail, done.log)


# ---- every point of a run ----

CRASHES = ["stopped", "torn", "power", "names"]  # names: those not brought to the disk are lost, too


@pytest.fixture(scope="module")
def points(request):
    """How many points of which runs were tried; printed at the end."""
    found = {}
    yield found
    print_table(request, "| what was recorded | operations | crashes | lost | twice |",
                [f"| {what} | {operations} | {tried} | {lost} | {twice} |"
                 for what, (operations, tried, lost, twice) in found.items()])


def recorded_subject(kind, weir, mock, folder, unordered=False):
    look = Look(csv=kind == "scan", unordered=unordered, errors=kind != "scan",
                save=kind == "fetch", stdin=False, items=40, commit_every="4ms")
    if kind == "fetch":
        return Fetch(weir, folder, look, mock, SEED, faults="0%")
    return Exec(weir, folder, look) if kind == "exec" else Scan(weir, folder, look, SEED)


def crashes(events):
    """All points of a record and ways to end there; in the short form some of them."""
    found = [(number, how) for number in range(len(events) + 1) for how in CRASHES
             if how != "torn" or number and events[number - 1].op == "write"]
    if LONG:
        return found
    return [found[-1]] + random.Random(len(events)).sample(found, 3)


def crash_at(folder, before, events, number, how):
    """Makes the folder what is left of it if a run ends so after that many operations."""
    disk = Disk(folder, before)
    for event in events[:number - 1 if how == "torn" else number]:
        disk.apply(event)
    if how == "torn":
        disk.apply(events[number - 1], 0.5)
    disk.leave(lost_bytes=how in ("power", "names"), lost_names=how == "names")


def try_all(subject, calm, before, events, option, scratch):
    """Operations, crashes, rows lost and rows there twice, after a run with that option each."""
    lost = twice = 0
    for number, how in crashes(events):
        crash_at(subject.watched, before, events, number, how)
        subject.forget()
        done = subject.finish(option)
        verdict = judge(subject, calm, done, scratch)
        lost, twice = lost + verdict.lost, twice + verdict.twice
        assert verdict == (0, 0, []), \
            f"{how} after {number} of {len(events)}: {events[max(0, number - 3):number]}: {done.log}"
    return len(events), len(crashes(events)), lost, twice


@pytest.mark.parametrize("kind", ["fetch", "exec", "scan"])
def test_every_point_of_a_run(weir, mock, tmp_path, sanitized, points, kind):
    subject = recorded_subject(kind, weir, mock, tmp_path)
    calm = subject.undisturbed(sanitized)
    assert sum(event.op == "sync" for event in calm.events) > 4, "the run had but few commits"
    points[kind] = try_all(subject, calm, {}, calm.events, "--resume", tmp_path)


def leave_unfinished(subject, calm, sanitized, scratch):
    """Kills a run of which some is committed."""
    syncs = [event.path for event in calm.events if event.op == "sync"]
    first = syncs.index(f"{subject.output}.partial") + 1  # and after 4 more that is committed
    done = subject.finish(env=crash_env(subject.watched, sanitized, ops="sync", at=first + 5))
    assert done.returncode == -9 and committed(subject.output, scratch), done.log


def leave_finished(subject, _calm, _sanitized, _scratch):
    assert subject.finish().returncode == 1


def leave_shorter(subject, _calm, _sanitized, _scratch):
    """Finishes a run over a part of the input."""
    subject.shorten(25)
    assert subject.finish().returncode == 1
    subject.shorten(None)


@pytest.mark.parametrize("leave,option", [
    (leave_unfinished, "--resume"), (leave_shorter, "--resume"), (leave_unfinished, "--restart"),
    (leave_finished, "--retry-failed"), (leave_unfinished, "--retry-failed")],
    ids=lambda value: value.replace("--", "") if isinstance(value, str) else value.__name__)
def test_every_point_of_a_run_that_goes_on(weir, mock, tmp_path, sanitized, points, leave, option):
    """A run that goes on with what another left is stopped in its turn."""
    subject = recorded_subject("exec", weir, mock, tmp_path, unordered=True)
    calm = subject.undisturbed(sanitized)
    if option == "--retry-failed":  # more fail than would without it
        (tmp_path / "broken").write_text("")
    leave(subject, calm, sanitized, tmp_path)
    before = subject.files()
    (tmp_path / "broken").unlink(missing_ok=True)
    done = subject.finish(option, env=crash_env(subject.watched, sanitized,
                                                log=tmp_path / "record"))
    assert judge(subject, calm, done, tmp_path) == (0, 0, []), done.log
    again = "--resume" if option == "--restart" else option
    points[f"exec {option} after {leave.__name__[6:]}"] = try_all(
        subject, calm, before, read_record(tmp_path / "record"), again, tmp_path)
