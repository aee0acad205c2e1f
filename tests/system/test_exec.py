"""weir exec: what commands get and say, how they end, and that nothing of them is left behind."""

import base64
import fcntl
import gzip
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import termios
import time

import pytest

from conftest import LIMIT, accounted, parse_rows, read_rows, size_of, wait_until
from terminal import Terminal, on_terminal

TRUE = ["true", ":::"]


def refused(weir, *args, **options):
    """The message of a command line that cannot run."""
    done = weir("exec", *args, **options)
    assert (done.returncode, done.stdout) == (2, b""), done.log
    assert done.log.count("\n") == 1 and done.log.startswith("weir exec: ")
    return done.log


def printed(done):
    """What the commands printed, in the order of the rows."""
    return [row["stdout"] for row in done.rows]


def state_of(pid):
    """The state letter of a process, None if there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def runs(pid):
    """Does it run? Who reaps orphans is not ours to say, so a zombie has ended."""
    return state_of(pid) not in (None, "Z", "X")


def read_pids(path):
    return [int(word) for word in path.read_text().split()] if path.exists() else []


# ---- placeholders ----

@pytest.mark.parametrize("words,value,expected", [
    (["{}"], "a b", ["a b"]), ([], "x", ["x"]), (["-o{.}.png"], "d/x.tar.gz", ["-od/x.tar.png"]),
    (["{/}", "{//}", "{/.}"], "a/b/c.tar.gz", ["c.tar.gz", "a/b", "c.tar"]),
    (["{//}"], "c", ["."]), (["{//}"], "/c", ["/"]), (["{.}"], "a.d/c", ["a.d/c"]),
    (["{#}:{}"], "v", ["1:v"]), (["{1/.}"], "a/b.c", ["b"]), (["{}{}"], "v", ["vv"]),
    (["{print $1}", "{a,b}", "{{}}", "\\{}"], "v", ["{print $1}", "{a,b}", "{v}", "{}"]),
    (["{}"], "", [""]), (["{}"], "$(id) `id` ; ' \" \\ * ? ~", ["$(id) `id` ; ' \" \\ * ? ~"]),
    (["{}"], "-n", ["-n"]), (["{}"], "ünï", ["ünï"]), (["{}"], "a\nb", ["a\nb"]),
])
def test_placeholders(weir, words, value, expected):
    done = weir("exec", "printf", "(%s)", *words, ":::", value)
    assert done.returncode == 0, done.log
    assert printed(done) == ["".join(f"({word})" for word in expected)]


def test_lists_are_combined_each_with_each(weir):
    done = weir("exec", "echo", "{1}", "{2}", "{3/.}", ":::", "a", "b", ":::", "1", "2", "3",
                ":::", "x/y.z")
    assert printed(done) == [f"{a} {n} y\n" for a in "ab" for n in "123"]
    done = weir("exec", "echo", ":::", "a", "b", ":::", "1", "2")  # {1} {2} are added
    assert printed(done) == ["a 1\n", "a 2\n", "b 1\n", "b 2\n"]


def test_a_list_without_words(weir):
    done = weir("exec", "echo", ":::")
    assert (done.returncode, done.stdout) == (0, b"") and "0 commands" in done.log


def test_a_command_without_values_runs_once(weir):
    done = weir("exec", "echo", "{#}", "hello")
    assert done.returncode == 0 and printed(done) == ["1 hello\n"]
    assert done.rows[0]["command"] == "echo 1 hello"


def test_options_end_where_the_command_begins(weir):
    assert printed(weir("exec", "echo", "-j", "--shell", "{}", ":::", "-q")) == ["-j --shell -q\n"]
    assert printed(weir("exec", "-j", "2", "--", "echo", "--", "{}", ":::", "a")) == ["-- a\n"]


# ---- inputs ----

def test_lines(weir, tmp_path):
    (tmp_path / "list.txt").write_text("a b\n\nc\n")
    done = weir("exec", "-i", tmp_path / "list.txt", "echo")
    assert printed(done) == ["a b\n", "c\n"]
    assert [row["line"] for row in done.rows] == ["a b", "c"]
    done = weir("exec", "-i", "-", "echo", "{line}", "{1}", input="x\ny\n")
    assert printed(done) == ["x x\n", "y y\n"]


def test_columns(weir, tmp_path):
    (tmp_path / "t.csv").write_text('id,file\n1,"a, b.txt"\n2,c/d.e\n')
    done = weir("exec", "-i", tmp_path / "t.csv", "echo", "{id}", "{file.}", "{file/}", "{2//}")
    assert printed(done) == ["1 a, b a, b.txt .\n", "2 c/d d.e c\n"]
    assert list(done.rows[0])[:3] == ["id", "file", "command"]


def test_ndjson(weir):
    rows = [{"n": 1.50, "s": "a\"b", "o": {"x": [1]}, "z": None, "t": True}]
    text = '{"n":1.50,"s":"a\\"b","o":{"x":[1]},"z":null,"t":true}\n'
    done = weir("exec", "-i", "-", "--input-format", "ndjson", "printf", "[%s]", "{n}", "{s}",
                "{o}", "{z}", "{t}", input=text)
    assert printed(done) == ['[1.50][a"b][{"x":[1]}][][true]']
    assert {name: done.rows[0][name] for name in rows[0]} == rows[0]


def test_a_compressed_input(weir, tmp_path):
    (tmp_path / "list.gz").write_bytes(gzip.compress(b"a\nb\n"))
    assert printed(weir("exec", "-i", tmp_path / "list.gz", "echo")) == ["a\n", "b\n"]


def test_an_input_column_with_the_name_of_ours(weir):
    done = weir("exec", "-i", "-", "--input-format", "csv", "echo", input="stdout\nx\n")
    assert done.rows[0]["input_stdout"] == "x" and done.rows[0]["stdout"] == "x\n"


def test_rows_that_cannot_be_used(weir):
    done = weir("exec", "-i", "-", "--input-format", "csv", "echo", "{a}",
                input="a,b\n1,2\n3\n4,5\n")
    assert done.returncode == 1 and accounted(done) == (3, {"ok": 2, "failed": 1})
    assert "line 3" in done.rows[1]["error"]
    assert (done.rows[1]["command"], done.rows[1]["attempts"]) == (None, 0)


def test_a_nul_is_no_argument(weir):
    done = weir("exec", "-i", "-", "--input-format", "ndjson", "echo", "{a}",
                input='{"a":"x\\u0000y"}\n{"a":"z"}\n')
    assert [row["stdout"] for row in done.rows] == ["", "z\n"] or done.rows[0]["stdout"] is None
    assert "NUL" in done.rows[0]["error"] and done.returncode == 1


def test_an_empty_input(weir):
    done = weir("exec", "-i", "-", "echo", input="")
    assert (done.returncode, done.stdout) == (0, b"") and "the input is empty" in done.log


# ---- the shell, standard input, folder, environment ----

HOSTILE = ["a b", "$(touch owned)", "`touch owned`", "; touch owned", "a'b", "''", "\"", "\\",
           "* ?", "-n", "$HOME", "a\nb", "ü€", "&& touch owned", "!", "#", "~", "{}", "a'; touch o'"]


def test_no_value_breaks_out_of_its_quotes(weir, tmp_path):
    text = "".join(json.dumps({"v": value}) + "\n" for value in HOSTILE)
    done = weir("exec", "--shell", "-i", "-", "--input-format", "ndjson", "printf '<%s>' {v} | cat",
                input=text, cwd=tmp_path)
    assert done.returncode == 0, done.log
    assert printed(done) == [f"<{value}>" for value in HOSTILE] and list(tmp_path.iterdir()) == []
    done = weir("exec", "-i", "-", "--input-format", "ndjson", "printf", "<%s>", "{v}", input=text)
    assert printed(done) == [f"<{value}>" for value in HOSTILE]


def test_a_line_for_the_shell(weir):
    done = weir("exec", "--shell", "echo {} | tr a-z A-Z;", "echo", "$((1+1))", ":::", "x y")
    assert printed(done) == ["X Y\n2\n"]
    assert done.rows[0]["command"] == "echo 'x y' | tr a-z A-Z; echo $((1+1))"
    assert printed(weir("exec", "--shell", "echo a;  echo", ":::", "b")) == ["a\nb\n"]


def test_standard_input(weir):
    done = weir("exec", "-i", "-", "--input-format", "ndjson", "--stdin", "<{body}>", "cat",
                input='{"body":"a\\u0000b\\nc"}\n{"body":"' + "x" * 500_000 + '"}\n')
    assert base64.b64decode(done.rows[0]["stdout"]) == b"<a\0b\nc>"
    assert done.rows[0]["stdout_encoding"] == "base64"
    assert done.rows[1]["stdout"] == "<" + "x" * 500_000 + ">"


def test_standard_input_is_empty_otherwise(weir):
    """Also where that of weir is not, and is read for rows."""
    assert printed(weir("exec", "-i", "-", "sh", "-c", "cat; echo {}", input="1\n2\n")) == [
        "1\n", "2\n"]
    assert printed(weir("exec", "cat", input="not for you")) == [""]


def test_an_input_that_is_not_read(weir):
    done = weir("exec", "--stdin", "x" * 100_000, *TRUE, "1")
    assert done.returncode == 0 and done.rows[0]["error"] is None


def test_the_folder(weir, tmp_path):
    for name in ["a", "b c"]:
        (tmp_path / name).mkdir()
    done = weir("exec", "--cwd", "{}", "pwd", ":::", "a", "b c", "none", cwd=tmp_path)
    assert printed(done)[:2] == [f"{tmp_path}/a\n", f"{tmp_path}/b c\n"]
    assert "none" in done.rows[2]["error"] and done.returncode == 1


def test_the_environment(weir):
    done = weir("exec", "--env", "ID={}", "--env", "OLD=new", "--env", "ID=<{}>", "sh", "-c",
                'echo "$ID $OLD $KEPT"', ":::", "a b", env={"OLD": "old", "KEPT": "kept"})
    assert printed(done) == ["<a b> new kept\n"]  # and no {} was added: $0 has no say here
    assert done.rows[0]["command"].endswith("'echo \"$ID $OLD $KEPT\"'")


def test_nothing_of_weir_is_seen_in_the_environment(weir):
    own = {line.partition("=")[0] for line in printed(weir("exec", "env"))[0].splitlines()}
    assert own <= set(weir.env) | {"PWD", "OLDPWD", "SHLVL", "_"}


def test_no_descriptor_is_handed_on(weir, tmp_path):
    with open(tmp_path / "held", "w", encoding="utf-8") as held:
        os.set_inheritable(held.fileno(), True)
        done = weir("exec", "-i", "-", "-j", "8", "-o", tmp_path / "out", "--errors",
                    tmp_path / "bad", "--", "sh", "-c", "sleep 0.0{}; ls /proc/self/fd",
                    input="".join(f"{i}\n" for i in range(10)), close_fds=False)
    assert done.returncode == 0, done.log
    assert {row["stdout"] for row in read_rows(tmp_path / "out")} == {"0\n1\n2\n3\n"}  # 3 is ls's


def test_a_command_leads_a_group_of_its_own_with_all_signals_at_their_defaults(weir):
    script = "echo $$ $(ps -o pgid= $$); exec grep -E 'Sig(Blk|Ign)' /proc/self/status"
    done = weir("exec", "sh", "-c", script, preexec_fn=lambda: signal.signal(
        signal.SIGPIPE, signal.SIG_IGN))
    pid, group, *masks = done.rows[0]["stdout"].split()
    blocked, ignored = (int(mask, 16) for mask in masks[1::2])
    assert pid == group and blocked == 0
    assert ignored & ~(3 << 31) == 0  # two that belong to libc


def test_niceness(weir):
    own = os.nice(0)
    done = weir("exec", "--nice", "3", "-i", "-", "sh", "-c", "nice; : {}", input="1\n2\n3\n")
    assert printed(done) == [f"{min(own + 3, 19)}\n"] * 3
    assert printed(weir("exec", "nice")) == [f"{own}\n"]


# ---- rows ----

def test_a_row(weir):
    done = weir("exec", "sh", "-c", 'echo "{}"; echo no >&2; exit 3', ":::", "a b")
    assert list(done.rows[0]) == ["command", "exit_code", "signal", "attempts", "elapsed_ms",
                                  "error", "stdout", "stderr"]
    row = done.rows[0]
    assert row.pop("elapsed_ms") > 0
    assert row == {"command": "sh -c 'echo \"a b\"; echo no >&2; exit 3'", "exit_code": 3,
                   "signal": None, "attempts": 1, "error": "exit code 3", "stdout": "a b\n",
                   "stderr": "no\n"}
    assert done.returncode == 1 and "1 × exit code 3" in done.log


@pytest.mark.parametrize("script,value", [
    ("echo '{\"a\": 1.50}'", {"a": 1.5}), ("echo '[1,\n2]'", [1, 2]), ("echo 17", "17\n"),
    ("echo '{broken'", "{broken\n"), ("printf ''", ""), ("printf 'a\\033b'", "a\x1bb"),
])
def test_output_as_json_or_text(weir, script, value):
    done = weir("exec", "--shell", script)
    assert done.rows[0]["stdout"] == value and "stdout_encoding" not in done.rows[0]
    assert b"\x1b" not in done.stdout


def test_output_that_is_neither(weir):
    row = weir("exec", "--shell", r"printf 'a\377'; printf 'b\000' >&2").rows[0]
    assert base64.b64decode(row["stdout"]) == b"a\xff" and row["stdout_encoding"] == "base64"
    assert base64.b64decode(row["stderr"]) == b"b\0" and row["stderr_encoding"] == "base64"


def test_csv(weir, tmp_path):
    done = weir("exec", "-o", tmp_path / "out.csv", "echo", ":::", "a,b", "c")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert done.returncode == 0
    assert lines[0] == ("command,exit_code,signal,attempts,elapsed_ms,error,stdout,"
                        "stdout_encoding,stderr,stderr_encoding")
    assert lines[1].startswith('"echo a,b",0,,1,')


def test_errors_apart(weir, tmp_path):
    done = weir("exec", "--errors", tmp_path / "bad.ndjson", "sh", "-c", "exit {}", ":::", "0",
                "1", "0", "2")
    assert [row["exit_code"] for row in done.rows] == [0, 0]
    assert [row["exit_code"] for row in read_rows(tmp_path / "bad.ndjson")] == [1, 2]


def test_order(weir):
    args = ["-j", "4", "sh", "-c", "sleep 0.{}; echo {}", ":::", "3", "2", "1", "0"]
    assert printed(weir("exec", *args)) == ["3\n", "2\n", "1\n", "0\n"]
    assert sorted(printed(weir("exec", "--unordered", *args))) == ["0\n", "1\n", "2\n", "3\n"]


def test_unordered_rows_come_as_commands_end(weir, tmp_path, processes):
    os.mkfifo(tmp_path / "gate")
    process = weir.start("exec", "--unordered", "-j", "2", "sh", "-c", "cat {} 2>&1", ":::",
                         tmp_path / "gate", "/dev/null")
    processes.append(process)
    assert b"/dev/null" in process.stdout.readline()  # while the first still waits
    with open(tmp_path / "gate", "w", encoding="utf-8") as gate:
        gate.write("late")
    assert json.loads(process.stdout.readline())["stdout"] == "late"


# ---- how they end ----

def test_what_cannot_be_started(weir, tmp_path):
    (tmp_path / "plain").write_text("no program")
    done = weir("exec", "--", "{}", ":::", "no-such-command", "./plain", "/", "true", "",
                cwd=tmp_path)
    errors = [row["error"] for row in done.rows]
    assert "No such file" in errors[0] and "no-such-command" in errors[0]
    assert "Permission denied" in errors[1] and "Permission denied" in errors[2]
    assert errors[3] is None and "empty" in errors[4]
    assert "3 × could not be started" in done.log
    assert [row["exit_code"] for row in done.rows] == [None, None, None, 0, None]


def test_a_signal(weir):
    row = weir("exec", "sh", "-c", "kill -SEGV $$").rows[0]
    assert (row["exit_code"], row["signal"]) == (None, "SIGSEGV")
    assert "SIGSEGV" in row["error"]
    assert weir("exec", "sh", "-c", "kill -40 $$").rows[0]["signal"].startswith("SIGRTMIN+")


def test_a_timeout_ends_the_whole_group(weir, tmp_path):
    """With grandchildren, one of which is in a hurry to be left behind."""
    script = "sleep 1000 & echo $! >pids; (sleep 1000 & echo $! >>pids); echo $$ >>pids; wait"
    done = weir("exec", "--timeout", "2s", "sh", "-c", script, cwd=tmp_path)
    row = done.rows[0]
    assert (row["signal"], row["attempts"]) == ("SIGTERM", 1) and "--timeout" in row["error"]
    assert "1 × timed out" in done.log
    pids = read_pids(tmp_path / "pids")
    assert len(pids) == 3
    wait_until(lambda: not any(map(runs, pids)))


def test_a_timeout_for_one_who_ignores_it(weir, tmp_path):
    script = "trap '' TERM; echo $$ >pids; while :; do sleep 0.01; done"
    done = weir("exec", "--timeout", "2s", "--grace", "50ms", "sh", "-c", script, cwd=tmp_path)
    assert done.rows[0]["signal"] == "SIGKILL" and "--timeout" in done.rows[0]["error"]
    assert not any(map(runs, read_pids(tmp_path / "pids")))


def test_a_timeout_for_one_who_tidies_up(weir, tmp_path):
    script = "trap 'echo bye >said; exit 7' TERM; echo up >said; while :; do :; done"
    done = weir("exec", "--timeout", "2s", "--grace", "50s", "sh", "-c", script, cwd=tmp_path)
    assert done.rows[0]["exit_code"] == 7 and "--timeout" in done.rows[0]["error"]
    assert (tmp_path / "said").read_text() == "bye\n"
    done = weir("exec", "--timeout", "2s", "--grace", "none", "sh", "-c", script, cwd=tmp_path)
    assert done.rows[0]["signal"] == "SIGKILL"
    assert (tmp_path / "said").read_text() == "up\n"


def test_company_that_holds_the_output(weir, tmp_path):
    done = weir("exec", "--grace", "10ms", "sh", "-c", "sleep 1000 & echo $! >pids; echo said",
                cwd=tmp_path)
    assert done.returncode == 0 and printed(done) == ["said\n"]
    wait_until(lambda: not any(map(runs, read_pids(tmp_path / "pids"))))


def test_too_much_output(weir):
    done = weir("exec", "--max-output", "1000", "sh", "-c", "head -c {} /dev/zero | tr '\\0' x",
                ":::", "1000", "1001")
    assert done.rows[0]["stdout"] == "x" * 1000 and done.rows[0]["error"] is None
    assert "1000 bytes" in done.rows[1]["error"] and "--max-output" in done.rows[1]["error"]
    done = weir("exec", "--max-output", "10K", "--retry", "3", "yes")
    assert "standard output" in done.rows[0]["error"] and done.rows[0]["attempts"] == 1
    assert "standard error" in weir("exec", "--max-output", "10K", "--shell",
                                    "yes >&2").rows[0]["error"]


def test_who_starts_weir_may_ignore_its_children(weir):
    done = weir("exec", "sh", "-c", "exit 3",
                preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.rows[0]["exit_code"] == 3


# ---- retries ----

COUNTING = "echo x >>{}; [ $(wc -l <{}) -ge 3 ] || exit 75"


def test_retries(weir, tmp_path):
    done = weir("exec", "--retry", "5", "--retry-delay", "1ms", "--shell", COUNTING, ":::", "a",
                "b", cwd=tmp_path)
    assert [row["attempts"] for row in done.rows] == [3, 3] and done.returncode == 0
    assert "4 retries" in done.log
    assert [row["stdout"] for row in done.rows] == ["", ""]


@pytest.mark.parametrize("retry_on,script,attempts", [
    ("75", "exit 75", 3), ("75", "exit 1", 1), ("64-78", "exit 70", 3), ("any,-2", "exit 2", 1),
    ("any,-2", "exit 3", 3), ("none", "exit 1", 1), ("-75", "exit 75", 1), ("-75", "exit 1", 3),
    ("signal", "kill -9 $$", 3), ("75", "kill -9 $$", 1), ("timeout", "sleep 1000", 3),
    ("signal", "sleep 1000", 1), ("any", "exit 255", 3),
])
def test_retry_on(weir, retry_on, script, attempts):
    done = weir("exec", "--retry", "2", "--retry-delay", "1ms", "--retry-on", retry_on,
                "--timeout", "100ms" if "sleep" in script else "none", "sh", "-c", script)
    assert done.returncode == 1 and done.rows[0]["attempts"] == attempts


@pytest.mark.parametrize("retry_on,attempts", [("start", 3), ("75", 1)])
def test_retry_of_what_cannot_be_started(weir, retry_on, attempts):
    done = weir("exec", "--retry", "2", "--retry-delay", "1ms", "--retry-on", retry_on,
                "no-such-command")
    assert done.rows[0]["attempts"] == attempts


def test_the_output_is_the_last_attempts(weir, tmp_path):
    script = "echo x >>{}; cat {}; [ $(wc -l <{}) -ge 3 ]"
    done = weir("exec", "--retry", "5", "--retry-delay", "1ms", "--shell", script, ":::", "a",
                cwd=tmp_path)
    assert printed(done) == ["x\nx\nx\n"]
    assert "12 B printed" in done.log


# ---- ends of the run ----

def test_fail_fast(weir):
    done = weir("exec", "-j", "1", "--fail-fast", "sh", "-c", "exit {}", ":::", "0", "1",
                *["0"] * 500)
    assert done.returncode == 1 and "the first failure (--fail-fast)" in done.log
    total, parts = accounted(done)
    assert total == sum(parts.values()) == 502 and parts["failed"] == 1 and parts["not started"]


def test_halt_after(weir):
    done = weir("exec", "-j", "1", "--halt-after", "3", "false", ":::", *range(1000))
    assert done.returncode == 1 and "stopped early: 3 failures (--halt-after)" in done.log
    total, parts = accounted(done)
    assert total == sum(parts.values()) == 1000 and 3 <= parts["failed"] < 1000


def test_a_deadline(weir, tmp_path):
    done = weir("exec", "-j", "2", "--deadline", "2s", "sh", "-c",
                "echo $$ >>pids; exec sleep 1000", ":::", *range(5), cwd=tmp_path)
    assert done.returncode == 1 and "the deadline passed" in done.log
    assert accounted(done) == (5, {"cancelled": 2, "not started": 3})
    assert not any(map(runs, read_pids(tmp_path / "pids")))


def begin(weir, processes, tmp_path, *args, script="echo $$ >>pids; exec sleep 1000", count=4):
    """A run whose first commands are up: their process ids."""
    process = weir.start("exec", "-j", "2", *args, "sh", "-c", script, ":::", *range(count),
                         cwd=tmp_path, start_new_session=True)
    processes.append(process)
    wait_until(lambda: len(read_pids(tmp_path / "pids")) == 2)
    return process, read_pids(tmp_path / "pids")


def finish(process):
    out, log = process.communicate(timeout=LIMIT)
    return process.returncode, out, log.decode()


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                         (signal.SIGHUP, 129)])
def test_the_first_signal_lets_commands_finish(weir, processes, tmp_path, number, code):
    """It goes to the whole foreground group, as a terminal sends it, and is not the commands'."""
    process, pids = begin(weir, processes, tmp_path,
                          script="echo $$ >>pids; while [ ! -e go ]; do sleep 0.01; done; echo done")
    os.killpg(process.pid, number)
    assert b"finishing 2 in flight" in process.stderr.readline()
    (tmp_path / "go").touch()
    status, out, log = finish(process)
    assert status == code and [row["stdout"] for row in parse_rows(out)] == ["done\n"] * 2
    assert "4 commands = 2 ok + 2 not started" in log and not any(map(runs, pids))


def test_the_second_signal_ends_them(weir, processes, tmp_path):
    process, pids = begin(weir, processes, tmp_path, "-o", "out.ndjson")
    process.send_signal(signal.SIGINT)
    assert b"finishing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    status, _, log = finish(process)
    assert status == 130 and "4 commands = 2 cancelled + 2 not started" in log
    assert not any(map(runs, pids))
    assert not (tmp_path / "out.ndjson").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["pids"]


STUBBORN = "trap '' TERM INT HUP; echo $$ >>pids; while :; do sleep 0.01; done"


def test_the_third_signal_leaves_nothing_either(weir, processes, tmp_path):
    process, pids = begin(weir, processes, tmp_path, "--grace", "300ms", script=STUBBORN)
    process.send_signal(signal.SIGINT)
    assert b"finishing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    wait_until(lambda: not any(map(runs, pids)))


@pytest.mark.parametrize("script", ["echo $$ >>pids; exec sleep 1000", STUBBORN,
                                    "sleep 1000 & echo $! >>pids; wait"])
def test_a_weir_that_is_killed_leaves_no_process(weir, processes, tmp_path, script):
    process, pids = begin(weir, processes, tmp_path, "--grace", "200ms", script=script)
    process.kill()
    process.communicate(timeout=LIMIT)
    wait_until(lambda: not any(map(runs, pids)))


def processes_with(text):
    """The running processes whose command line has it."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if text in (entry / "cmdline").read_bytes() and runs(int(entry.name)):
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("moment", range(8))
def test_a_weir_that_is_killed_while_it_starts_commands(weir, processes, tmp_path, moment):
    """At whatever moment: what was just being started is found, too."""
    mark = f"weir-test-{os.getpid()}-{moment}"
    process = weir.start("exec", "-j", "200", "--grace", "none", "sh", "-c",
                         f"echo $$ >>pids; : {mark}; sleep 1000 & wait", ":::", *range(200),
                         cwd=tmp_path)
    processes.append(process)
    wait_until(lambda: len(read_pids(tmp_path / "pids")) >= moment * 5)
    process.kill()
    process.communicate(timeout=LIMIT)
    wait_until(lambda: not processes_with(mark.encode()))


def children_of(pid):
    text = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True,
                          text=True, check=False, timeout=LIMIT).stdout
    return [line.split() for line in text.splitlines()]


def test_no_zombie(weir, processes, tmp_path):
    os.mkfifo(tmp_path / "gate")
    process = weir.start("exec", "--unordered", "-j", "8", "sh", "-c", "[ {} != 0 ] || cat gate",
                         ":::", *range(200), cwd=tmp_path)
    processes.append(process)
    for _ in range(199):
        process.stdout.readline()
    wait_until(lambda: not [stat for _, stat in children_of(process.pid) if stat[0] == "Z"])
    names = [pathlib.Path(f"/proc/{pid}/comm").read_text() for pid, _ in children_of(process.pid)]
    assert sorted(names) == ["command-guard\n", "sh\n"]
    guard = next(pid for pid, _ in children_of(process.pid)
                 if pathlib.Path(f"/proc/{pid}/comm").read_text() == "command-guard\n")
    (tmp_path / "gate").write_text("go")
    assert finish(process)[0] == 0 and not runs(int(guard))


# ---- how many, how fast ----

def overlapping(path):
    """How many were under way at once, from a file with + for each begin and - for each end."""
    now = most = 0
    for sign in path.read_text().split():
        now += 1 if sign == "+" else -1
        most = max(most, now)
    return most


def until_many_have_begun(jobs):
    """A script that does not end before so many were under way."""
    return (f"echo + >>log; until [ $(grep -c + log) -ge {jobs} ]; do sleep 0.01; done; "
            "sleep 0.05; echo - >>log")


@pytest.mark.parametrize("jobs,lanes", [(1, 1), (3, 2), (8, 2)])
def test_jobs_is_never_exceeded_and_is_reached(weir, tmp_path, jobs, lanes):
    done = weir("exec", "-j", jobs, "--lanes", lanes, "sh", "-c", until_many_have_begun(jobs),
                ":::", *range(jobs * 6), cwd=tmp_path)
    assert done.returncode == 0 and f"at most {jobs} in flight" in done.log
    assert overlapping(tmp_path / "log") == jobs


def test_jobs_are_one_per_processor_by_default(weir, tmp_path):
    jobs = len(os.sched_getaffinity(0))
    weir("exec", "sh", "-c", until_many_have_begun(jobs), ":::", *range(jobs * 6), cwd=tmp_path)
    assert overlapping(tmp_path / "log") == jobs


def test_a_rate(weir):
    began = time.monotonic()
    done = weir("exec", "-j", "100", "--rate", "20/s", *TRUE, *range(5))
    assert done.returncode == 0 and time.monotonic() - began >= 4 / 20


def test_no_memory_is_free_enough(weir):
    done = weir("exec", "--memory-free", "1024T", "--deadline", "300ms", *TRUE, 1, 2)
    assert done.returncode == 1 and accounted(done) == (2, {"not started": 2})
    assert weir("exec", "--memory-free", "1K", *TRUE, 1, 2).returncode == 0


def test_the_load_is_too_high(weir):
    assert weir("exec", "--load-max", "100000", *TRUE, 1, 2).returncode == 0
    if os.getloadavg()[0] < 0.05:
        pytest.skip("there is no load to be too high")
    done = weir("exec", "--load-max", "0.000001", "--deadline", "300ms", *TRUE, 1, 2)
    assert done.returncode == 1 and accounted(done) == (2, {"not started": 2})


def test_thousands(weir, tmp_path):
    count = 3000
    done = weir("exec", "-j", "300", "-i", "-", "-o", tmp_path / "out", "echo",
                input="".join(f"{i}\n" for i in range(count)))
    assert done.returncode == 0, done.log
    assert [row["stdout"] for row in read_rows(tmp_path / "out")] == [f"{i}\n" for i in range(count)]


def test_a_thousand_at_once(weir, processes, tmp_path):
    """All of them run at the same moment: none ends before the last has begun."""
    count = 1000
    os.mkfifo(tmp_path / "gate")
    process = weir.start("exec", "-j", count, "-o", "/dev/null", "sh", "-c",
                         "echo >>up; exec cat gate", ":::", *range(count), cwd=tmp_path)
    processes.append(process)
    up = tmp_path / "up"
    wait_until(lambda: size_of(up) == count)

    def open_gate():
        """For all who wait there now."""
        try:
            os.close(os.open(tmp_path / "gate", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody does
            pass
        return process.poll() is not None

    wait_until(open_gate)
    status, _, log = finish(process)
    assert status == 0 and "at most 1,000 in flight" in log


def test_few_descriptors(weir):
    done = weir("exec", "-j", "500", *TRUE, *range(600),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
    assert done.returncode == 0, done.log
    assert "note:" in done.log and "ulimit" in done.log


def peak_memory(pid):
    """In kB; of a process that has ended, 0."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) if found else 0


def test_memory_is_bounded(weir, processes, tmp_path, sanitized):
    """The first command keeps all others waiting for their rows, each with a megabyte."""
    process = weir.start("exec", "-j", "8", "--memory", "8M", "-o", "out", "--shell",
                         "[ {} != 1 ] || sleep 1; yes {} | head -c 1000000", ":::", *range(1, 101),
                         cwd=tmp_path)
    processes.append(process)
    peaks = []

    def ended():
        peaks.append(peak_memory(process.pid))
        return process.poll() is not None

    wait_until(ended)
    assert process.returncode == 0
    with open(tmp_path / "out", encoding="utf-8") as rows:  # one at a time, not to grow with them
        assert [len(json.loads(row)["stdout"]) for row in rows] == [1_000_000] * 100
    assert max(peaks) > 1000
    if not sanitized:
        assert max(peaks) < 60_000  # of the 100 MB there are


# ---- passing through ----

SAYS = ["sh", "-c", "printf '{} one\\n{} two'; echo {} three >&2", ":::", "a", "b"]


def test_passthrough(weir):
    done = weir("exec", "-q", "--passthrough", *SAYS)
    assert done.stdout == b"a one\na two\nb one\nb two\n"
    assert done.stderr == b"a three\nb three\n" and done.returncode == 0


def test_tags(weir):
    done = weir("exec", "-q", "--passthrough", "--tag", *SAYS)
    assert done.stdout == b"a\ta one\na\ta two\nb\tb one\nb\tb two\n"
    assert done.stderr == b"a\ta three\nb\tb three\n"
    done = weir("exec", "-q", "--passthrough", "--tag-text", "<{#}>", "echo", ":::", "x")
    assert done.stdout == b"<1>\tx\n"
    done = weir("exec", "-q", "--passthrough", "--tag", "echo", ":::", "x", ":::", "y")
    assert done.stdout == b"x y\tx y\n"
    done = weir("exec", "-q", "--passthrough", "--tag", "echo", ":::", "\x1b[2J")
    assert done.stdout.startswith(b"\\x1b[2J\t") or done.stdout.startswith(b"\\x1B[2J\t")


def test_passthrough_keeps_order_and_lines_together(weir):
    script = "for i in 1 2 3; do echo {}; sleep 0.0{}; done"
    args = ["-j", "8", "--passthrough", "-q", "sh", "-c", script, ":::", *range(8, 0, -1)]
    expected = [str(n) for n in range(8, 0, -1) for _ in range(3)]
    assert weir("exec", *args).text.split() == expected
    unordered = weir("exec", "--unordered", *args).text.split()
    assert sorted(unordered) == sorted(expected)
    assert all(unordered[i] == unordered[i + 1] == unordered[i + 2] for i in range(0, 24, 3))


def test_passthrough_and_rows(weir, tmp_path):
    done = weir("exec", "--passthrough", "-o", tmp_path / "out", "sh", "-c", "echo {}; exit {}",
                ":::", "0", "3")
    assert done.stdout == b"0\n3\n" and done.returncode == 1
    rows = read_rows(tmp_path / "out")
    assert [row["exit_code"] for row in rows] == [0, 3]
    assert "stdout" not in rows[0] and "stderr" not in rows[0]


def test_much_is_passed_through(weir):
    done = weir("exec", "-q", "--passthrough", "--tag", "--shell", "yes {} | head -n 100000", ":::",
                "a", "b")
    assert done.stdout == b"a\ta\n" * 100_000 + b"b\tb\n" * 100_000


@pytest.mark.parametrize("args", [["--passthrough"], []])
def test_a_reader_that_goes_away(weir, processes, args):
    process = weir.start("exec", "-j", "2", *args, "--shell", "yes {} | head -c 100000", ":::",
                         *range(100000))
    processes.append(process)
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, log = process.communicate(timeout=LIMIT)
    assert (process.returncode, log) == (0, b"")


@pytest.mark.parametrize("args", [["--passthrough"], []])
def test_a_full_disk(weir, args):
    with open("/dev/full", "wb") as full:
        done = weir("exec", *args, "echo", ":::", *range(5), stdout=full)
    assert done.returncode == 2 and "No space left" in done.log


# ---- what is refused ----

@pytest.mark.parametrize("args,words", [
    ([], ["no command"]), ([":::", "a"], ["no command"]), (["-j", "0", "true"], ["--jobs"]),
    (["--timeout", "x", "true"], ["--timeout"]), (["--nice", "20", "true"], ["--nice"]),
    (["--load-max", "-1", "true"], ["--load-max"]), (["--load-max", "x", "true"], ["--load-max"]),
    (["--memory-free", "x", "true"], ["--memory-free"]), (["--env", "x", "true"], ["NAME=VALUE"]),
    (["--env", "=x", "true"], ["NAME=VALUE"]), (["--tag", "true"], ["--tag", "--passthrough"]),
    (["--retry-on", "256", "true"], ["--retry-on", "256"]),
    (["--retry-on", "0", "true"], ["--retry-on"]), (["--retry-on", "x", "true"], ["--retry-on"]),
    (["--max-output", "0", "true"], ["--max-output"]), (["--halt-after", "0", "true"], ["halt"]),
    (["echo", "{}"], ["{}", "-i"]), (["echo", "{1}"], ["{1}", ":::"]),
    (["echo", "{2}", ":::", "a"], ["{2}", "1 list"]), (["echo", "{x}", ":::", "a"], ["\"x\""]),
    (["echo", "{}", ":::", "a", ":::", "b"], ["{1}"]), (["--frobnicate", "true"], ["--frobnicate"]),
    (["-i", "/no/such/file", "true"], ["/no/such/file"]),
    (["-i", "-", "true", ":::", "a"], ["-i", ":::"]), (["-o", "/no/such/x", "true"], ["/no/such"]),
    (["--stdin", "{x}", "true"], ["--stdin", "x"]), (["--cwd", "{x}", "true"], ["--cwd", "x"]),
    (["true", *[":::", "a"] * 17], ["16"]),
])
def test_what_is_refused(weir, args, words):
    said = refused(weir, *args)
    for word in words:
        assert word in said


def test_an_unknown_column(weir, tmp_path):
    (tmp_path / "t.csv").write_text("id,name\n1,a\n")
    for args in [["echo", "{nmae}"], ["--cwd", "{nmae}", "echo"], ["--stdin", "{nmae}", "cat"],
                 ["--env", "A={nmae}", "env"], ["--passthrough", "--tag-text", "{nmae}", "echo",
                                                "{id}"]]:
        said = refused(weir, "-i", tmp_path / "t.csv", *args)
        assert '"nmae"' in said and "id, name" in said
    assert "{id}" in refused(weir, "-i", tmp_path / "t.csv", "echo", "{}")
    assert "2 columns" in refused(weir, "-i", tmp_path / "t.csv", "echo", "{3}")


# ---- the plan, help, a terminal ----

def test_dry_run(weir, tmp_path):
    done = weir("exec", "--dry-run", "-j", "7", "--rate", "10/s", "touch", "{}", ":::", "a b", "c",
                cwd=tmp_path)
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []
    assert done.text.startswith("2 commands, none run\n  touch 'a b'\n  touch c\n")
    assert re.search(r"in flight +7\n", done.text) and re.search(r"rate +10/s\n", done.text)
    assert "server" not in done.text and "request" not in done.text


def test_help_fits_a_screen(weir):
    done = weir("exec", "--help")
    assert done.returncode == 0 and done.log == ""
    assert all(len(line) <= 80 for line in done.text.splitlines())
    for option in ["-i", "--input-format", "--shell", "--stdin", "--cwd", "--env", "-o", "--format",
                   "--errors", "--unordered", "--max-output", "--passthrough", "--tag", "-j",
                   "--rate", "--timeout", "--grace", "--nice", "--load-max", "--memory-free",
                   "--deadline", "--memory", "--fail-fast", "--halt-after", "--retry",
                   "--retry-on", "--dry-run", "--progress", "-q"]:
        assert re.search(rf"(^|\s){re.escape(option)}\b", done.text, re.M), option


def test_a_terminal_shows_progress_and_a_summary(weir, processes):
    code, shown, rows = on_terminal(weir, processes, "exec", "-j", "4", "sh", "-c",
                                    "sleep 0.1; exit {}", ":::", *["0"] * 11, "3")
    assert code == 1 and len(parse_rows(rows)) == 12
    assert "/12" in shown and "in flight" in shown and "\r" in shown
    last = shown.rpartition("\r\x1b[K")[2]
    assert "12 commands" in last and "\x1b[31m1 failed\x1b[0m" in last and "overlapped" in last
    assert "request" not in shown


def test_what_is_passed_through_is_not_mixed_with_progress(weir, processes):
    code, shown, out = on_terminal(weir, processes, "exec", "-j", "2", "--passthrough", "sh", "-c",
                                   "sleep 0.2; echo said >&2", ":::", 1, 2, 3, 4)
    assert code == 0 and out == b"" and "\x1b[K" not in shown and "ETA" not in shown
    assert shown.startswith("said\r\nsaid\r\n") and "4 commands" in shown


def test_ctrl_c_at_a_terminal(weir, processes, tmp_path):
    """The key itself: the kernel sends SIGINT to the foreground group, of which commands are none."""
    terminal = Terminal()
    process = subprocess.Popen(
        weir.command(["exec", "-j", "2", "sh", "-c",
                      "trap 'echo hit >>hit' INT; echo $$ >>pids; while [ ! -e go ]; do sleep 0.01; "
                      "done", ":::", *range(4)]),
        stdin=terminal.theirs, stderr=terminal.theirs, stdout=subprocess.DEVNULL, cwd=tmp_path,
        env={**weir.env, "TERM": "xterm", "COLUMNS": "100"}, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    processes.append(process)
    wait_until(lambda: len(read_pids(tmp_path / "pids")) == 2)
    os.write(terminal.ours, b"\x03")
    while b"finishing 2 in flight" not in terminal.seen:
        terminal.seen += os.read(terminal.ours, 65536)
    (tmp_path / "go").touch()
    log = terminal.read_until_closed(process)
    assert process.returncode == 130 and not (tmp_path / "hit").exists()
    assert "2 ok" in log and "2 not started" in log
