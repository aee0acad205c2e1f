"""Disks that are full, failing or read-only, under the rows, the failed rows and the saved bodies,
and under what is read. `WEIR_LONG=1` has each call fail, instead of the first few."""

import re
import shutil
import subprocess

import pytest

from conftest import LIMIT, Done, accounted
from faults import (  # noqa: F401 (faults: a fixture)
    LONG, NAMES, check, equation, faults, parse, scenes, ways)


@pytest.fixture
def undisturbed(weir, mock, tmp_path):
    """undisturbed(name) returns the scene, knowing what it gives when nothing is wrong."""
    def learn(name):
        return scenes(weir, mock().url)[name].learn(tmp_path / "learn")
    return learn


# ---- writes that fail ----

# How many of a small run's calls there are is not much: each of them in turn, all in the long form.
CALLS = [("write,writev,pwrite", "ENOSPC"), ("write,writev,pwrite", "EIO"),
         ("fsync,fdatasync", "EIO"), ("fsync,fdatasync", "ENOSPC"), ("rename", "EIO"),
         ("rename", "EROFS"), ("close", "EIO"), ("close", "ENOSPC"),
         ("ftruncate", "EIO"), ("open", "EROFS"), ("mkdir", "ENOSPC"), ("unlink", "EIO")]


@pytest.mark.parametrize("name", NAMES)
def test_writing_fails(undisturbed, faults, tmp_path, name):
    """At the n-th call, for each n, and at all from the n-th on."""
    scene = undisturbed(name)
    folder = tmp_path / "run"
    for calls, error in CALLS if LONG else CALLS[NAMES.index(name) % 2::2]:
        for nth in range(1, 100 if LONG else 3):
            for way in ways(nth + NAMES.index(name) // 2):
                rules = faults(f"{calls}:{nth}{way}:{error}:{folder}")
                done = scene.run(folder, rules)
                check(scene, done, folder)
                if done.returncode == 2 and calls.startswith("write"):
                    assert re.search("No space left|Input/output|I/O error", done.log), done.log
                shutil.rmtree(folder)
            if not rules.struck():
                break


@pytest.mark.parametrize("name", NAMES)
def test_short_writes_and_interruptions_are_no_faults(undisturbed, faults, tmp_path, name):
    scene = undisturbed(name)
    folder = tmp_path / "run"
    rules = faults(f"write,pwrite:/2:EINTR:{folder}", f"write,pwrite:1+:short=7:{folder}",
                   f"fsync,fdatasync,open:1:EINTR:{folder}", "epoll_wait:/2:EINTR",
                   "read:/3:EINTR")
    done = scene.run(folder, rules)
    assert done.returncode == (len(scene.failed) > 0), done.log
    assert rules.struck() and rules.struck(1) and rules.struck(2)
    rows = check(scene, done, folder)
    assert len(rows) == len(scene.whole) + len(scene.failed)


def test_interruptions_at_random(undisturbed, faults, tmp_path):
    """Each read and wait may be interrupted, sockets and pipes of commands included."""
    for name in ["fetch", "exec"]:
        scene = undisturbed(name)
        for seed in range(20 if LONG else 2):
            folder = tmp_path / "run"
            done = scene.run(folder, faults(f"read,write,recv,send,epoll_wait:p30~{seed}:EINTR"))
            assert done.returncode == 1, done.log
            check(scene, done, folder)
            shutil.rmtree(folder)
        shutil.rmtree(tmp_path / "learn")


def test_standard_output_fails(weir, faults):
    """There is nothing to keep then, but the reason is said."""
    command = ["exec", "echo", "{}", ":::", "a", "b"]
    for rule, text in [("write:1:ENOSPC:fd1", "No space left"),
                       ("write:1:EIO:fd1", "Input/output")]:
        done = weir(*command, env=faults(rule).env)
        assert done.returncode == 2 and "standard output" in done.log and text in done.log
        assert done.stdout == b""


# ---- a small disk ----

IN_NAMESPACE = """
mkdir disk && mount -t tmpfs -o size=$SIZE,nr_inodes=$INODES none disk || exit 99
cd disk && "$@"
code=$?
cp -a . ../kept
exit $code
"""


def can_mount(folder):
    run = subprocess.run(["unshare", "-Ur", "-m", "mount", "-t", "tmpfs", "none", folder],
                         capture_output=True, text=True, check=False)
    return run.returncode == 0, run.stderr.strip()


@pytest.fixture
def small_disk(weir, tmp_path):
    """small_disk(size, *args): a run of the command on a disk so small; what was on it in the end
    is then in tmp_path/"kept"."""
    able, why = can_mount(tmp_path)
    if not able:
        pytest.skip(f"a tmpfs cannot be mounted in a namespace here: {why}")

    def run(size, *args, inodes=1000, input=b""):
        (tmp_path / "kept").mkdir(exist_ok=True)
        command = ["unshare", "-Ur", "-m", "sh", "-c", IN_NAMESPACE, "sh", *weir.command(args)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, input=input, check=False,
                              timeout=LIMIT, env={**weir.env, "SIZE": str(size),
                                                  "INODES": str(inodes)})
        return Done(command, done.returncode, done.stdout, done.stderr)

    return run


@pytest.mark.parametrize("format", ["ndjson", "csv"])
@pytest.mark.parametrize("errors", [(), ("--errors", "bad.{format}")], ids=["", "errors"])
def test_the_disk_is_full(small_disk, tmp_path, format, errors):
    """The rows of an exec that prints 40 KB each, on a disk of 256 KiB."""
    errors = [word.format(format=format) for word in errors]
    done = small_disk("256k", "exec", "-i", "-", "--input-format", "lines", "-o", f"out.{format}",
                      *errors, "--shell", "head -c 40000 /dev/zero | tr '\\0' {}",
                      input=b"a\nb\nc\nd\ne\n" * 4)
    assert done.returncode == 2, done.log
    assert "No space left on device" in done.log and f"out.{format}" in done.log
    total, parts = accounted(done)
    assert total == sum(parts.values())
    kept = {path.name: path for path in (tmp_path / "kept").iterdir()}
    assert f"out.{format}" not in kept
    partial = f"out.{format}.partial"
    if partial in kept:
        assert partial in done.log
        rows = parse(kept[partial])
        assert rows and all(row["stdout"] == row["stdout"][0] * 40000 for row in rows)
    for name in kept:
        assert name.startswith(("out.", "bad.")), name
        assert ".weir-" not in name or name in done.log, name


def test_bodies_on_a_full_disk(small_disk, mock, tmp_path):
    """Bodies that have no room fail by themselves; all others go on."""
    done = small_disk("256k", "fetch", mock().url + "/bytes/30000?{1..20}", "--save", "saved/{#}",
                      "--retry-delay", "1ms")
    assert done.returncode == 1, done.log
    rows = done.rows
    assert len(rows) == 20
    good = [row for row in rows if not row["error"]]
    assert 0 < len(good) < 20
    assert all("No space left" in row["error"] for row in rows if row["error"])
    files = list((tmp_path / "kept" / "saved").iterdir())
    assert sorted(path.name for path in files) == sorted(row["saved"][6:] for row in good)
    assert all(path.stat().st_size == 30000 for path in files)


def test_no_inodes_left(small_disk, tmp_path):
    done = small_disk("1m", "exec", "-o", "out.ndjson", "echo", "{}", ":::", "a", inodes=1)
    assert done.returncode == 2, done.log
    assert "out.ndjson" in done.log and "No space left" in done.log
    assert list((tmp_path / "kept").iterdir()) == []


# ---- read-only ----

READ_ONLY = """
mkdir disk && mount -t tmpfs none disk && echo before >disk/out.ndjson &&
mount -o remount,ro disk || exit 99
cd disk && "$@"
"""


@pytest.mark.parametrize("option", ["-o", "--errors", "--save"])
def test_a_read_only_disk(weir, api, tmp_path, option):
    able, why = can_mount(tmp_path)
    if not able:
        pytest.skip(f"a tmpfs cannot be mounted in a namespace here: {why}")
    server = api()
    place = "saved/{#}" if option == "--save" else "out.ndjson"
    command = ["unshare", "-Ur", "-m", "sh", "-c", READ_ONLY, "sh",
               *weir.command(["fetch", server.url + "/{1..3}", option, place])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=LIMIT,
                          env=weir.env, stdin=subprocess.DEVNULL)
    log = done.stderr.decode()
    assert done.returncode != 99, log
    if option == "--save" and done.returncode == 1:
        assert "Read-only file system" in done.stdout.decode() + log
        return
    assert done.returncode == 2 and "Read-only file system" in log and not server.asked, log


# ---- reading ----

def test_input_that_cannot_be_read_on(weir, api, faults, tmp_path):
    """What was read before counts; the run says what failed."""
    pad = "x" * 20_000
    (tmp_path / "in.csv").write_text("id,pad\n" + "".join(f"{i},{pad}\n" for i in range(20)))
    rules = faults(f"read:2+:EIO:{tmp_path}/in.csv")
    done = weir("fetch", "-i", "in.csv", api().url + "/{id}", "-o", "out.ndjson", env=rules.env,
                cwd=tmp_path)
    assert done.returncode == 2, done.log
    assert "in.csv" in done.log and "Input/output error" in done.log
    assert not (tmp_path / "out.ndjson").exists()
    total, parts = equation(done.log)
    assert total == sum(parts.values())


def test_short_reads(weir, faults, tmp_path):
    """Of an input, by any number of bytes; of a scanned file by pages, as a disk does it."""
    lines = "".join(f"line {i}\n" for i in range(10_000))
    (tmp_path / "in.txt").write_text(lines)
    done = weir("scan", "in.txt", "-e", "9$", cwd=tmp_path,
                env=faults(f"read:1+:short=4096:{tmp_path}/in.txt").env)
    assert done.returncode == 0, done.log
    assert [row["line"] for row in done.rows] == list(range(10, 10_001, 10))
    done = weir("scan", "in.txt", "-e", "9$", cwd=tmp_path,
                env=faults(f"read:/2:EIO:{tmp_path}/in.txt", f"read:1+:short=4096:{tmp_path}").env)
    assert done.returncode == 1, done.log
    assert "Input/output error" in done.rows[-1]["error"]
    (tmp_path / "in.csv").write_text("n\n" + "".join(f"{i}\n" for i in range(20)))
    done = weir("exec", "-i", "in.csv", "echo", "{n}", cwd=tmp_path,
                env=faults(f"read:/3:EINTR:{tmp_path}/in", f"read:1+:short=3:{tmp_path}/in").env)
    assert [row["stdout"] for row in done.rows] == [f"{i}\n" for i in range(20)]


@pytest.mark.parametrize("options", [["--whole"], ["-e", "x"], ["--hash", "sha256"],
                                     ["--records", "csv"]], ids=lambda options: options[0])
@pytest.mark.parametrize("call", ["read,pread,mmap", "open"])
def test_scanned_files_that_cannot_be_read(weir, faults, tmp_path, options, call):
    """They fail with the reason; the others are as they would be."""
    (tmp_path / "files").mkdir()
    for i in range(20):
        (tmp_path / "files" / f"{i:02}").write_text("x,y\n1,2\n")
    rules = faults(f"{call}:1+:EIO:{tmp_path}/files/07", f"{call}:1+:EIO:{tmp_path}/files/13",
                   "open:!:EIO:07", "open:!:EIO:13")
    if call == "open":
        rules.arm(2)
        rules.arm(3)
    done = weir("scan", tmp_path / "files", *options, env=rules.env, cwd=tmp_path)
    assert done.returncode == 1, done.log
    assert accounted(done) == (20, {"ok": 18, "failed": 2}), done.log
    failed = [row for row in done.rows if row.get("error")]
    assert {row["path"][-2:] for row in failed} == {"07", "13"}
    assert all("Input/output error" in row["error"] for row in failed)
    assert len({row["path"] for row in done.rows}) == 20


def test_folders_that_cannot_be_read(weir, faults, tmp_path):
    for name in "abc":
        (tmp_path / "files" / name).mkdir(parents=True)
        (tmp_path / "files" / name / "file").write_text("x\n")
    rules = faults(f"getdents:1+:EIO:{tmp_path}/files/b")
    done = weir("scan", tmp_path / "files", "-e", "x", env=rules.env)
    assert done.returncode == 1, done.log
    good = {row["path"].split("/")[-2] for row in done.rows if not row.get("error")}
    assert good == {"a", "c"}
    assert any("Input/output error" in (row.get("error") or "") for row in done.rows)
