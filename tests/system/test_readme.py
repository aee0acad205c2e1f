"""Every command line of the README does what it says: the page is read, and its lines are run."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from conftest import LIMIT, port_in, read_rows

README = pathlib.Path(os.environ.get("WEIR_SOURCE", ".")) / "README.md"


def lines():
    """The command lines that call weir, in their order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()
            if re.match(r"(weir|\w[^#]*\| *weir)\b", line)]


@pytest.fixture
def folder(tmp_path, weir_path):
    """What the lines work on, and the programs that they call."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "weir").symlink_to(weir_path)
    write_script(programs / "ffprobe", 'echo "{\\"file\\": \\"$3\\", \\"options\\": \\"$1 $2\\"}"')
    write_script(tmp_path / "import",
                 '[ "$2" != 2 ] || [ -e seen ] || { >seen; exit 75; }; echo "$2 $3"')
    (tmp_path / "ids.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(1, 11)))
    (tmp_path / "ids.txt").write_text("".join(f"{n}\n" for n in range(1, 11)))
    (tmp_path / "videos.txt").write_text("one.mp4\ntwo words.mp4\n")
    (tmp_path / "jobs.csv").write_text("id,file\n1,a b.txt\n2,c.txt\n")
    (tmp_path / "access.csv").write_text("url,status\n/a.php,500\n/b.html,503\n/c.php,200\n")
    for name in ["one.mp4", "two words.mp4"]:
        (tmp_path / name).write_text(name)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "d.log").write_text("an error\nterrors\nfatal error\n")
    for name, text in {"a b": "ERROR 1\nfine\nERROR 2\n", "c": "ERROR 3\n"}.items():
        subprocess.run(["gzip"], input=text.encode(), check=True, timeout=LIMIT,
                       stdout=open(tmp_path / "logs" / f"{name}.gz", "wb"))
    return tmp_path


def write_script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(line, folder, weir, url):
    """A line as it stands there, but for the server, and for pipes without an end."""
    for place in ["https://api.example.com", "http://127.0.0.1:8080"]:
        line = line.replace(place, url)
    line = line.replace("tail -f", "cat")
    path = f"{folder}/bin:{weir.env.get('PATH', os.environ['PATH'])}"
    return subprocess.run(["sh", "-c", line], cwd=folder, env={**weir.env, "PATH": path},
                          capture_output=True, text=True, check=False, timeout=LIMIT)


def test_the_first_screen_shows_every_kind_of_job():
    screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:24])
    for kind in ["fetch", "scan", "exec"]:
        assert f"\nweir {kind} " in screen


@pytest.mark.parametrize("line", lines())
def test_a_line_of_the_readme(line, folder, weir, mock):
    done = run(line, folder, weir, mock().url)
    assert done.returncode == 0, done.stderr
    assert "all ok" in done.stderr
    found = re.search(r"-o (\S+)", line)
    if found and found[1].endswith(".csv"):
        assert len((folder / found[1]).read_text().splitlines()) > 1
    elif found:
        assert read_rows(folder / found[1])
    elif "--passthrough" not in line:
        assert [json.loads(row) for row in done.stdout.splitlines()]


def line_with(text):
    found = [line for line in lines() if text in line]
    assert len(found) == 1, f"the README has no line with {text}"
    return found[0]


def test_what_commands_print_is_embedded(folder, weir):
    run(line_with("ffprobe"), folder, weir, "")
    assert [row["stdout"] for row in read_rows(folder / "videos.ndjson")] == [
        {"file": name, "options": "-of json"} for name in ["one.mp4", "two words.mp4"]]


def test_exit_code_75_is_tried_again(folder, weir):
    done = run(line_with("./import"), folder, weir, "")
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert [(row["stdout"], row["attempts"]) for row in rows] == [("1 a b.txt\n", 1),
                                                                  ("2 c.txt\n", 2)]


def test_a_line_for_the_shell(folder, weir):
    done = run(line_with("zcat"), folder, weir, "")
    assert done.stdout == "logs/a b.gz\t2\nlogs/c.gz\t1\n"


def test_lines_that_match_with_their_groups(folder, weir):
    run(line_with("(?<code>"), folder, weir, "")
    rows = sorted(read_rows(folder / "errors.ndjson"), key=lambda row: row["code"])
    assert [(row["path"], row["line"], row["text"], row["code"]) for row in rows] == [
        ("logs/a b.gz", 1, "ERROR 1", "1"), ("logs/a b.gz", 3, "ERROR 2", "2"),
        ("logs/c.gz", 1, "ERROR 3", "3")]


def test_rows_of_tables_of_which_a_condition_is_true(folder, weir):
    done = run(line_with("--where"), folder, weir, "")
    assert [json.loads(row) for row in done.stdout.splitlines()] == [
        {"path": "access.csv", "line": 2, "url": "/a.php"}]


def test_lines_that_hold_either_word(folder, weir):
    done = run(line_with("-e fatal"), folder, weir, "")
    assert [json.loads(row) for row in done.stdout.splitlines()] == [
        {"path": "logs/d.log", "count": 2}]


def test_the_mock_that_is_recommended(weir, processes):
    """In the text, since it has no end."""
    found = re.search(r"`(weir mock [^`]*)`", README.read_text(encoding="utf-8"))
    process = weir.start(*found[1].split()[1:], "--port", "0")
    processes.append(process)
    assert port_in(process.stderr.readline().decode())
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LIMIT) in (0, 130)
