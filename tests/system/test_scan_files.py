"""Which files weir scan takes, under which names, and what it says of them."""

import ctypes
import grp
import hashlib
import os
import pathlib
import pwd
import random
import subprocess

import pytest

import ripgrep
from conftest import LIMIT, accounted
from ripgrep import path_of

TREE = {
    "a.c": "int a;\n", "A.C": "int A;\n", "b.h": "b\n", "empty": "", "src/main.c": "main\n",
    "src/deep/er/x.c": "x\n", "src/deep/er/x.o": "o\n", "src/tmp/junk.tmp": "junk\n",
    ".hidden": "h\n", ".config/inner": "i\n", "src/.secret/key": "k\n", "build/out.txt": "out\n",
    "docs/one.md": "1\n", "docs/two.txt": "2\n", "docs/keep.tmp": "keep\n", "x y/z {w}.c": "z\n",
    "v[1].c": "v\n", "-dash.c": "dash\n", "é/ü.c": "ü\n", "ignored-by-git/f.c": "f\n", "rg/only.c": "r\n",
    "excluded/e.c": "e\n", "global.bak": "g\n",
}

LISTS = {
    ".gitignore": "*.o\n/build/\nTWO.TXT\nEMPTY\n*.tmp\n!keep.tmp\nignored-by-git\n", ".ignore": "two.txt\nONE.C\n",
    ".rgignore": "/rg/\n", "src/.gitignore": "tmp/\n!x.o\n", "src/deep/.ignore": "*.c\n",
    ".git/info/exclude": "excluded/\n",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    root = home / "tree"
    for name, text in {**TREE, **LISTS}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (root / "link.c").symlink_to("a.c")
    (root / "linked").symlink_to("docs")
    (root / "loop").mkdir()
    (root / "loop" / "back").symlink_to("..")
    (root / "broken.c").symlink_to("nowhere")
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("*.bak\n")
    (home / "more").write_text("docs/\n*.H\n")
    return root


def listed(weir, tree, *args, cwd=None):
    """The paths that there are, from their facts."""
    done = weir("scan", "--stat", "--select", "path,error", *args, cwd=cwd or tree,
                env={"HOME": str(tree.parent)})
    assert done.returncode in (0, 1), done.log
    paths = [path_of(row) for row in done.rows if row.get("error") is None]
    assert len(set(paths)) == len(paths)
    return sorted(paths)


WAYS = [
    [], ["--hidden"], ["-."], ["--no-ignore"], ["--hidden", "--no-ignore"], ["-u"], ["-uu"], ["-uuu"],
    ["--no-ignore-dot"], ["--no-ignore-vcs"], ["--no-ignore-exclude"], ["--no-ignore-global"],
    ["--no-ignore-parent"], ["--no-require-git"], ["--ignore-file", "../more"],
    ["--ignore-file-case-insensitive"],
    ["-g", "*.c"], ["-g", "!*.c"], ["-g", "*.{c,md}"], ["-g", "src/**"], ["-g", "/a.c"],
    ["-g", "*.c", "-g", "!src"], ["-g", "!src", "-g", "src/main.c"], ["-g", "*.tmp"],
    ["-g", ".*"], ["-g", "[ab].?"], ["--iglob", "*.C"], ["--glob-case-insensitive", "-g", "*.C"],
    ["-g", "**/deep/**/*.c", "--no-ignore"], ["-L"], ["-L", "-uu"], ["--max-depth", "1"],
    ["--max-depth", "2", "-uu"], ["--one-file-system"], ["--hidden", "-g", "!.git"],
    ["--no-ignore", "--no-ignore-parent"], ["-g", "docs/"], ["-g", "!docs/"], ["-g", "x y/*"],
]


@pytest.mark.parametrize("args", WAYS, ids=" ".join)
def test_same_files_as_ripgrep(weir, tree, args):
    wanted = ripgrep.paths("--files", *args, cwd=tree, home=tree.parent)
    if args == ["--no-ignore-dot"]:  # ripgrep 13 still heeds .rgignore then, 14 does not
        wanted = sorted({*wanted, b"rg/only.c"})
    assert listed(weir, tree, *args) == wanted


@pytest.mark.parametrize("paths", [
    ["."], ["./"], ["src"], ["src/"], ["./src//deep"], ["src", "docs"], ["a.c", "src"], [".hidden"],
    ["build"], ["build/out.txt"], ["ignored-by-git"], ["link.c"], ["linked"], ["loop"], [".config"],
    ["../tree/docs"], ["x y"], ["é"], ["v[1].c"], ["src/deep/er/x.o"], ["--", "-dash.c"],
    ["./-dash.c"],
], ids=" ".join)
def test_same_paths_as_ripgrep(weir, tree, paths):
    assert listed(weir, tree, *paths) == ripgrep.paths("--files", *paths, cwd=tree,
                                                       home=tree.parent)


def test_absolute_paths_and_another_folder(weir, tree):
    assert listed(weir, tree, tree / "docs") == sorted(
        bytes(tree / "docs" / name) for name in ["one.md", "keep.tmp"])
    for args in [[], ["--no-ignore-parent"]]:
        assert listed(weir, tree, *args, cwd=tree / "src") == ripgrep.paths(
            "--files", *args, cwd=tree / "src", home=tree.parent)


@pytest.mark.parametrize("glob,found", [
    ("*.c", ["a.c", "v[1].c", "-dash.c"]), ("*.{h,md}", ["b.h"]), ("docs/*.{md,txt}", ["docs/one.md"]),
    ("src/**/*.c", ["src/main.c"]), ("**/one.md", ["docs/one.md"]), ("[A-Z].C", ["A.C"]),
    ("sr[c]/m*", ["src/main.c"]), ("no*such*", []),
])
def test_globs_as_paths(weir, tree, glob, found):
    """All that match as if each were named, without what is hidden or ignored."""
    got = {os.fsdecode(path).removeprefix("./") for path in listed(weir, tree, "--", glob)}
    assert got - {"link.c", "broken.c"} == set(found)


def test_a_glob_that_matches_nothing_fails(weir, tree):
    done = weir("scan", "no*such*", "b.h", cwd=tree)
    assert done.returncode == 1
    rows = {row["path"]: row for row in done.rows}  # a glob begins in a folder: they may overtake it
    assert set(rows) == {"no*such*", "b.h"}
    assert rows["no*such*"]["error"] and accounted(done) == (2, {"ok": 1, "failed": 1})


def test_sorted_and_deterministic(weir, tree):
    runs = {weir("scan", "--sort", "path", "-uu", "-j", jobs, cwd=tree).stdout
            for jobs in [1, 1, 2, 7, 50] for _ in range(3)}
    assert len(runs) == 1
    rows = ripgrep.run("--files", "-uu", "--sort", "path", cwd=tree).decode().splitlines()
    done = weir("scan", "--stat", "--select", "path", "--sort", "path", "-uu", cwd=tree)
    assert [row["path"] for row in done.rows] == rows


def make_random_tree(rng, folder, depth):
    for number in range(rng.randint(1, 12)):
        path = folder / f"{rng.choice('abcABC.é_')}{number}{rng.choice(['', '.c', '.o', '.tmp'])}"
        if depth and rng.random() < 0.4:
            path.mkdir()
            make_random_tree(rng, path, depth - 1)
        else:
            path.write_text("x\n" * rng.randint(0, 3))
    if rng.random() < 0.4:
        (folder / ".gitignore").write_text(rng.choice(["*.o\n", "/a*\n!a1*\n", "*.tmp\nb*/\n"]))


@pytest.mark.parametrize("seed", range(6))
def test_random_trees(weir, tmp_path, seed):
    rng = random.Random(seed)
    root = tmp_path / "root"
    (root / ".git").mkdir(parents=True)
    make_random_tree(rng, root, 4)
    for args in [[], ["--hidden"], ["-g", "*.c"], ["-uu", "--max-depth", "3"]]:
        done = weir("scan", "--stat", "--select", "path", *args, cwd=root)
        assert sorted(map(path_of, done.rows)) == ripgrep.paths("--files", *args, cwd=root)
        assert accounted(done)[0] == len(done.rows)


# ---- lists of paths ----

def test_a_list(weir, tree, tmp_path):
    (tmp_path / "list").write_bytes(b"a.c\r\n\nsrc\nno such\nv[1].c\n")
    for args in [["-i", tmp_path / "list"], ["-i", "-"]]:
        done = weir("scan", "--sort", "path", *args, cwd=tree, input=(tmp_path / "list").read_bytes())
        assert [row["path"] for row in done.rows] == ["a.c", "src/deep/er/x.o", "src/main.c", "no such",
                                                      "v[1].c"]
        assert done.returncode == 1 and done.rows[3]["error"]


def test_a_list_of_find(weir, tmp_path):
    for name in [b"plain", b"two\nlines", b"\xff\xfe bytes", b" spaces ", b"*", b"\x1b[31mred", b"end\r"]:
        (pathlib.Path(os.fsdecode(bytes(tmp_path) + b"/" + name))).write_bytes(name + b"\n")
    names = subprocess.run(["find", ".", "-type", "f", "-print0"], cwd=tmp_path, check=True,
                           stdout=subprocess.PIPE, timeout=LIMIT).stdout
    done = weir("scan", "-i", "-", "-0", cwd=tmp_path, input=names)
    assert done.returncode == 0, done.log
    assert sorted(map(path_of, done.rows)) == sorted(
        name for piece in names.split(b"\0")[:-1] for name in [piece] * (2 if b"\n" in piece else 1))
    assert b"\x1b" not in done.stdout + done.stderr
    done = weir("scan", "-c", "-uu", cwd=tmp_path)
    assert sorted((path_of(row), row["count"]) for row in done.rows) == sorted(
        (piece[2:], 2 if b"\n" in piece else 1) for piece in names.split(b"\0")[:-1])


@pytest.mark.parametrize("name,text", [
    ("l.csv", 'path,n\na.c,1\n"x y/z {w}.c",2\n'), ("l.tsv", "n\tpath\n1\ta.c\n2\tx y/z {w}.c\n"),
    ("l.ndjson", '{"path":"a.c"}\n{"n":1,"path":"x y\\/z {w}.c"}\n'),
])
def test_a_list_in_a_table(weir, tree, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    done = weir("scan", "-i", tmp_path / name, cwd=tree)
    assert [row["text"] for row in done.rows] == ["int a;", "z"], done.log


def test_a_list_with_rows_without_a_path(weir, tree, tmp_path):
    """Each of them is an item that fails; the others are scanned."""
    (tmp_path / "l.ndjson").write_text('{"path":"a.c"}\n{"n":1}\nno row\n{"path":"x y/z {w}.c"}\n')
    done = weir("scan", "-i", tmp_path / "l.ndjson", cwd=tree)
    assert done.returncode == 1 and accounted(done) == (4, {"ok": 2, "failed": 2}), done.log
    assert [row.get("text") for row in done.rows] == ["int a;", None, None, "z"]
    assert all(row["path"] == str(tmp_path / "l.ndjson") and f" line {n}" in row["error"]
               for n, row in [(2, done.rows[1]), (3, done.rows[2])])


def test_lists_that_are_none(weir, tmp_path):
    (tmp_path / "t.csv").write_text("name\na.c\n")
    done = weir("scan", "-i", tmp_path / "t.csv")
    assert done.returncode == 2 and 'no column "path"; there are: name' in done.log
    assert weir("scan", "-i", tmp_path / "no such").returncode == 2
    done = weir("scan", "-i", "-", cwd=tmp_path, input=b"a\0b\0")
    assert done.returncode == 2 and "--null" in done.log


def test_an_endless_list(weir, processes, tree):
    """Rows come while the list still goes on."""
    process = weir.start("scan", "-i", "-", "--unordered", cwd=tree, stdin=subprocess.PIPE)
    processes.append(process)
    for _ in range(3):
        process.stdin.write(b"a.c\n")
        process.stdin.flush()
        assert b"int a;" in process.stdout.readline()
    process.stdin.close()
    process.stdin = None
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0


def test_an_empty_list_and_an_empty_folder(weir, tmp_path):
    done = weir("scan", "-i", "-", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"") and "0 files" in done.log
    done = weir("scan", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"") and "0 files: none was found" in done.log


# ---- facts and hashes ----

def test_facts(weir, tree):
    (tree / "odd").write_bytes(b"x" * 12345)
    os.utime(tree / "odd", ns=(1_234_567_890_123_456_789, 987_654_321_012_345_678))
    (tree / "odd").chmod(0o640)
    done = weir("scan", "--stat", "-uu", cwd=tree)
    (tree / "odd").unlink()
    assert done.returncode == 0 and len(done.rows) > 20
    for row in done.rows:
        if row["path"] == "odd":
            odd = row
            continue
        facts = os.stat(tree / row["path"])
        assert row["size"] == facts.st_size and row["inode"] == facts.st_ino
        assert row["links"] == facts.st_nlink
        assert row["owner"] == pwd.getpwuid(facts.st_uid).pw_name
        assert row["group"] == grp.getgrgid(facts.st_gid).gr_name
    assert (odd["type"], odd["size"], odd["mode"], odd["mtime"]) == (
        "file", 12345, "0640", "2001-04-19T04:25:21.012345678Z")
    types = {row["path"]: row["type"] for row in weir("scan", "--stat", "/dev/null", "/dev/stdin",
                                                      cwd=tree).rows}
    assert types == {"/dev/null": "character device", "/dev/stdin": "fifo"}


def xxh3(texts, tmp_path):
    """As the library's own header computes it."""
    source = tmp_path / "x.c"
    source.write_text('''
#define XXH_INLINE_ALL
#include <stdio.h>
#include <xxhash.h>
void of(const void *bytes, size_t len, char *text)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, len);
    sprintf(text, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}
''')
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", tmp_path / "x.so", source], check=True,
                   timeout=LIMIT)
    of = ctypes.CDLL(tmp_path / "x.so").of
    of.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    hashes = []
    for text in texts:
        hashes.append(ctypes.create_string_buffer(33))
        of(text, len(text), hashes[-1])
    return [text.value.decode() for text in hashes]


def test_hashes(weir, tmp_path):
    rng = random.Random(1)
    texts = [rng.randbytes(size) for size in [0, 1, 16, 17, 240, 241, 4096, 65_536, 3_000_001]]
    (tmp_path / "t").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "t" / f"{number:02}.gz").write_bytes(text)
    (tmp_path / "t" / "99.gz").write_bytes(b"\x1f\x8b not really\n")
    texts.append(b"\x1f\x8b not really\n")
    args = ["--sort", "path", tmp_path / "t"]
    sums = weir("scan", "--hash", "sha256", *args)
    assert [(row["size"], row["hash"]) for row in sums.rows] == [
        (len(text), hashlib.sha256(text).hexdigest()) for text in texts]
    assert [row["hash"] for row in weir("scan", "--hash", "xxh3", *args).rows] == xxh3(texts,
                                                                                        tmp_path)
    both = weir("scan", "--hash", "sha256", "--stat", *args).rows
    assert [row["hash"] for row in both] == [row["hash"] for row in sums.rows]
    assert all("mtime" in row for row in both)
    assert sums.log.count("all ok") == 1 and f"{sum(map(len, texts)) / 1e6:.1f}" in sums.log


def test_the_largest_files(weir, tree):
    done = weir("scan", "--stat", "--where", "size > 6 and path like '%.c'", "--select",
                "size,path", "-uu", cwd=tree)
    assert all(list(row) == ["size", "path"] for row in done.rows)
    assert sorted(row["path"] for row in done.rows) == ["a.c"]


# ---- odd files ----

def test_hard_names(weir, tmp_path):
    names = [b"new\nline", b"tab\t", b"\x1b[2J", b"\xff\xfe", b"\xe2\x80\xae", b"quote\"\\", b"{}", b" "]
    for name in names:
        pathlib.Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"x\n")
    done = weir("scan", "-uu", cwd=tmp_path)
    assert sorted(map(path_of, done.rows)) == sorted(names)
    assert b"\x1b" not in done.stdout and b"\n" not in b"".join(done.stdout.splitlines())
    pathlib.Path(os.fsdecode(bytes(tmp_path) + b"/" + names[2])).unlink()
    done = weir("scan", b"\x1b[2J", cwd=tmp_path)
    assert done.returncode == 1 and b"\x1b" not in done.stdout + done.stderr


def without_privileges():
    """Of root: what overrides the modes of files is out of reach for what is executed next."""
    drop, dac_override, dac_read_search = 24, 1, 2
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in [dac_override, dac_read_search]:
        if libc.prctl(drop, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def test_what_may_not_be_read(weir, tmp_path):
    (tmp_path / "closed").mkdir()
    for name in ["a", "no", "z", "closed/in"]:
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "no").chmod(0)
    (tmp_path / "closed").chmod(0)
    options = {"preexec_fn": without_privileges} if os.getuid() == 0 else {}
    done = weir("scan", "--sort", "path", cwd=tmp_path, **options)
    (tmp_path / "closed").chmod(0o755)
    by_path = {row["path"].rstrip("/"): row for row in done.rows}
    assert done.returncode == 1, done.log
    assert by_path["a"]["text"] == "a" and by_path["z"]["text"] == "z"
    for name in ["no", "closed"]:
        assert "ermission denied" in by_path[name]["error"], name
        assert by_path[name].get("text") is None
    assert "4 files = 2 ok + 2 failed" in done.log and "2 × Permission denied" in done.log


def test_what_cannot_be_read_to_its_end(weir, tmp_path):
    """The memory of a process begins with a hole."""
    (tmp_path / "f").write_text("f\n")
    done = weir("scan", "/proc/self/mem", tmp_path / "f")
    assert done.returncode == 1
    assert [row.get("text") for row in done.rows] == [None, "f"]
    assert "nput/output error" in done.rows[0]["error"]


def test_links(weir, tmp_path):
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("f\n")
    (tmp_path / "d" / "up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    done = weir("scan", cwd=tmp_path)
    assert [row["path"] for row in done.rows] == ["d/f"] and done.returncode == 0
    done = weir("scan", "-L", "--sort", "path", cwd=tmp_path)
    errors = {row["path"].rstrip("/"): row["error"] for row in done.rows if row.get("error")}
    assert done.returncode == 1 and set(errors) == {"broken", "d/up", "self"}
    assert "No such file" in errors["broken"] and "evels of symbolic links" in errors["self"]
    assert [row["text"] for row in done.rows if row.get("error") is None] == ["f"]
    for path in ["broken", "self"]:
        done = weir("scan", path, cwd=tmp_path)
        assert done.returncode == 1 and done.rows[0]["path"] == path
    assert weir("scan", "nowhere", cwd=tmp_path).rows[0]["error"]


def test_pipes_and_devices_only_if_named(weir, processes, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "f").write_text("f\n")
    assert [row["path"] for row in weir("scan", cwd=tmp_path).rows] == ["f"]
    process = weir.start("scan", "-e", "a", "pipe", cwd=tmp_path)
    processes.append(process)
    (tmp_path / "pipe").write_bytes(b"abc\nxyz\nbca\n")  # waits until somebody reads
    out, log = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, log
    assert [line.split(b'"text":')[1] for line in out.splitlines()] == [b'"abc"}', b'"bca"}']
    assert weir("scan", "/dev/null").rows == []


def test_standard_input(weir, tree):
    done = weir("scan", "-e", "b", "-", input="abc\nxyz\nb\n")
    assert [(row["path"], row["line"], row["text"]) for row in done.rows] == [
        ("-", 1, "abc"), ("-", 3, "b")]
    done = weir("scan", "-c", "-e", "a", "-", "a.c", cwd=tree, input="a\na\n")
    assert {row["path"]: row["count"] for row in done.rows} == {"-": 2, "a.c": 1}
    (tree / "-").write_text("a file")
    done = weir("scan", "--stat", "-", "./-", "-g", "-", "--hash", "xxh3", cwd=tree, input="abc\n")
    assert [(row["path"], row["type"]) for row in done.rows] == [("-", "fifo"), ("./-", "file")], done.log
    done = weir("scan", "--hash", "sha256", "-", input="abc")
    assert done.rows[0]["hash"] == hashlib.sha256(b"abc").hexdigest()
    done = weir("scan", "-e", "int", cwd=tree, input="int\n")  # no path: the folder, not the pipe
    assert {row["path"] for row in done.rows} == {"a.c", "A.C"}


def test_few_descriptors(weir, tmp_path):
    import resource
    for number in range(300):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "f").write_text("x\n")
    done = weir("scan", "-j", "200", cwd=tmp_path,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    assert done.returncode == 0, done.log
    assert len(done.rows) == 300
