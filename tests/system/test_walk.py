"""The walk finds what git itself says is not ignored, on trees made at random."""

import os
import pathlib
import random
import shutil
import subprocess

import pytest

WALK = os.environ.get("WEIR_WALK")

pytestmark = [
    pytest.mark.skipif(not WALK, reason="needs the tests' walk_files"),
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
]

NAMES = ["a", "b", "c.o", "foo", "foo.c", "Foo", "bar baz", "x.tmp", "[q]", "a#", "build", "é", "-", ".h", "!z", "t*"]
PARTS = ["a", "b", "*", "*.o", "*.c", "foo*", "?", "[a-c]", "[!a]", "[[:alpha:]]", "**", "foo", "build", "b?r*", "\\[q\\]",
         "bar baz", "x.*", "a\\#", "é", "[f]oo*", ".h", "*o", "*.t?p", "t\\*", "-", "[", "{a,b}", "[z-a]"]


def environment(home):
    """Nothing of the user's own git."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env.pop("XDG_CONFIG_HOME", None)
    return {**env, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def make_tree(rng, folder, depth):
    for name in rng.sample(NAMES, rng.randint(2, 7)):
        path = folder / name
        if depth and rng.random() < 0.5:
            path.mkdir()
            make_tree(rng, path, depth - 1)
        else:
            path.write_bytes(b"")


def pattern(rng):
    parts = [rng.choice(PARTS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    text = "/".join(parts)
    if rng.random() < 0.2:
        text = "/" + text
    if rng.random() < 0.2:
        text += "/"
    if rng.random() < 0.25:
        text = "!" + text
    return text + rng.choice(["", "", "", "", " ", "\\ ", "\r"])


def write_list(rng, path, most):
    lines = [pattern(rng) for _ in range(rng.randint(1, most))]
    if rng.random() < 0.2:
        lines.insert(0, "# " + pattern(rng))
    path.write_text("\n".join(lines) + rng.choice(["\n", ""]))


def write_lists(rng, repo, home):
    write_list(rng, repo / ".gitignore", 6)
    folders = [path for path in repo.rglob("*") if path.is_dir() and ".git" not in path.parts]
    for folder in rng.sample(folders, min(len(folders), 4)):
        write_list(rng, folder / ".gitignore", 4)
    if rng.random() < 0.5:
        write_list(rng, repo / ".git" / "info" / "exclude", 3)
    if rng.random() < 0.5:
        (home / ".config" / "git").mkdir(parents=True, exist_ok=True)
        write_list(rng, home / ".config" / "git" / "ignore", 3)


def lines(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, **options)
    return sorted(line for line in done.stdout.split(b"\0") if line)


def walked(repo, env, *args):
    command = [WALK, "--hidden", "--null", "-g", "!/.git", *args]
    return lines(command, cwd=repo, env=env)


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def repo(tmp_path, home):
    folder = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(folder)], check=True, env=environment(home))
    return folder


@pytest.mark.parametrize("seed", range(12))
def test_same_files_as_git(repo, home, seed):
    rng = random.Random(seed)
    env = environment(home)
    make_tree(rng, repo, 3)
    for _ in range(4):
        write_lists(rng, repo, home)
        wanted = lines(["git", "ls-files", "-z", "--others", "--exclude-standard"], cwd=repo, env=env)
        assert walked(repo, env) == wanted
        assert walked(repo, env, "-j", "3") == wanted


@pytest.mark.parametrize("seed", range(3))
def test_check_ignore_agrees_below_a_subfolder(repo, home, seed):
    rng = random.Random(100 + seed)
    env = environment(home)
    (repo / "sub" / "deep").mkdir(parents=True)
    make_tree(rng, repo / "sub" / "deep", 2)
    write_list(rng, repo / ".gitignore", 3)
    write_list(rng, repo / "sub" / ".gitignore", 3)
    with (repo / ".gitignore").open("a") as file:
        file.write("\n/sub/deep/*/a\nsub/deep/b\n!/sub/\n!/sub/deep/\n")
    (repo / "sub" / ".gitignore").write_text("deep/f*\n/deep/**/c.o\n")
    below = repo / "sub" / "deep"
    every = sorted(os.fsencode(path.relative_to(below)) for path in below.rglob("*") if path.is_file())
    ignored = subprocess.run(["git", "check-ignore", "-z", "--stdin"], input=b"\0".join(every), cwd=below, env=env,
                             stdout=subprocess.PIPE, check=False).stdout.split(b"\0")
    assert walked(below, env) == [path for path in every if path not in ignored]


def test_excludes_file_of_the_configuration(repo, home):
    env = environment(home)
    subprocess.run(["git", "config", "--global", "core.excludesFile", "~/my list"], check=True, env=env)
    (home / "my list").write_text("a\n/sub/b\n")
    (repo / "sub").mkdir()
    for name in ["a", "b", "sub/a", "sub/b"]:
        (repo / name).write_bytes(b"")
    assert walked(repo, env) == [b"b"]
    assert walked(repo, env, "sub") == []
    assert walked(repo, env, "--no-ignore-global") == [b"a", b"b", b"sub/a", b"sub/b"]


def test_a_second_working_tree(repo, home):
    env = environment(home)
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True, cwd=repo, env=env)
    subprocess.run(["git", "worktree", "add", "-q", "../second"], check=True, cwd=repo, env=env,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    second = repo.parent / "second"
    (repo / ".git" / "info" / "exclude").write_text("a\n")
    for name in ["a", "b"]:
        (second / name).write_bytes(b"")
    assert walked(second, env) == [b"b"]
