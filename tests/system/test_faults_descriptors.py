"""Descriptors, threads and processes that cannot be had: those who need one wait or fail with the
reason, and nobody spins or hangs. `WEIR_LONG=1` has each call fail that makes one."""

import re
import resource
import shutil

import pytest

from conftest import accounted
from faults import LONG, NAMES, check, faults, scenes, ways  # noqa: F401 (faults: a fixture)

MAKERS = "open,dup,pipe,socket,accept,epoll_create,eventfd,pidfd_open"
SECONDS = 30  # of processor time, after which the kernel ends a run: it is spinning


def bounded():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


@pytest.fixture
def undisturbed(weir, mock, tmp_path):
    def learn(name):
        return scenes(weir, mock().url)[name].learn(tmp_path / "learn")
    return learn


def run(scene, folder, rules):
    done = scene.run(folder, rules, preexec_fn=bounded)
    check(scene, done, folder)
    return done


# ---- one that fails, or all from one on ----

@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", ["EMFILE", "ENFILE"])
def test_none_left_at_any_call(undisturbed, faults, tmp_path, name, error):
    """In its first calls a run finds that it cannot begin, later that an item cannot."""
    scene = undisturbed(name)
    folder = tmp_path / "run"
    count = faults(f"{MAKERS}:0:{error}:")
    run(scene, folder, count)
    shutil.rmtree(folder)
    total = count.seen()
    step = 1 if LONG else max(1, total // 4 | 1)
    for nth in range(1 if error == "EMFILE" else 2, total + 1, step):
        for way in ways(nth):
            done = run(scene, folder, faults(f"{MAKERS}:{nth}{way}:{error}"))
            if done.returncode == 2:
                said = done.log
            else:
                said = "".join(path.read_text() for path in folder.glob("bad.*")) + done.log
            untroubled = not way and done.returncode == (len(scene.failed) > 0)
            assert untroubled or "too many open files" in said.lower() \
                or done.returncode < 2, f"{nth}{way}: {said}"
            shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["fetch", "exec", "scan"])
@pytest.mark.parametrize("call,error", [("epoll_ctl", "ENOMEM"), ("epoll_ctl", "ENOSPC"),
                                        ("thread", "EAGAIN"), ("spawn", "EAGAIN"),
                                        ("spawn", "ENOMEM"), ("mmap", "ENOMEM"),
                                        ("socket", "ENOBUFS"), ("connect", "EAGAIN")])
def test_the_kernel_has_none_left(undisturbed, faults, tmp_path, name, call, error):
    scene = undisturbed(name)
    folder = tmp_path / "run"
    for nth in range(1, 50 if LONG else 4):
        for way in ways(nth):
            rules = faults(f"{call}:{nth}{way}:{error}")
            run(scene, folder, rules)
            shutil.rmtree(folder)
        if not rules.struck():
            break


def test_the_reason_is_said(weir, mock, faults, tmp_path):
    """Of a request and of a command that get none, and by how many it is shared."""
    url = mock().url
    done = weir("fetch", url + "/products/{1..20}", "--retry", "0", "-j", "1", "--lanes", "1",
                env=faults("socket:1+:EMFILE").env, preexec_fn=bounded)
    assert done.returncode == 1, done.log
    assert accounted(done) == (20, {"failed": 20})
    assert all("Too many open files" in row["error"] for row in done.rows)
    done = weir("exec", "true", "{}", ":::", *range(20), env=faults("pipe:1+:ENFILE").env,
                preexec_fn=bounded)
    assert done.returncode == 1, done.log
    assert accounted(done) == (20, {"failed": 20})
    assert all("Too many open files in system" in row["error"] for row in done.rows)


def test_it_gets_better(weir, mock, faults):
    """A few sockets that cannot be had cost attempts, not items."""
    rules = faults("socket:p40~1:EMFILE")
    done = weir("fetch", mock().url + "/products/{1..50}", "--retry", "20", "--retry-delay", "1ms",
                "-j", "4", env=rules.env, preexec_fn=bounded)
    assert done.returncode == 0, done.log
    assert accounted(done) == (50, {"ok": 50})


# ---- a limit that is low ----

def low(limit):
    def apply():
        bounded()
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return apply


@pytest.mark.parametrize("limit", [*range(4, 40)] if LONG else [6, 9, 13, 17, 24])
@pytest.mark.parametrize("name", ["fetch", "exec", "scan"])
def test_a_low_limit(undisturbed, faults, tmp_path, name, limit):
    """However low, it is an error that says so, or rows."""
    scene = undisturbed(name)
    folder = scene.prepare(tmp_path / "run")
    done = scene.weir(*scene.command(), cwd=folder, input=scene.input, preexec_fn=low(limit))
    if done.returncode == 127 and "error while loading shared libraries" in done.log:
        return  # it did not even begin
    check(scene, done, folder)
    if done.returncode == 2:
        assert re.search("Too many open files|cannot be loaded|ulimit", done.log), done.log


def test_enough_for_one_at_a_time(weir, tmp_path):
    """Many commands on few descriptors wait for each other."""
    done = weir("exec", "-j", "100", "-o", tmp_path / "out.ndjson", "true", "{}", ":::",
                *range(200), preexec_fn=low(40))
    assert done.returncode == 0, done.log
    assert accounted(done) == (200, {"ok": 200})
