"""The command itself: what it refuses and how, signals, exit codes, help, progress, secrets."""

import base64
import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from conftest import LIMIT, accounted, parse_rows, wait_until
from terminal import Terminal, on_terminal

NOWHERE = "http://127.0.0.1:1/"


def refused(weir, *args):
    """The message of a command line that cannot run."""
    done = weir(*args)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.log.count("\n") == 1 and done.log.startswith("weir")
    return done.log


# ---- what is refused ----

@pytest.mark.parametrize("option,meant", [
    ("--ouput", "--output"), ("--hedaer", "--header"), ("--retyr", "--retry"),
    ("--time-out", "--timeout"), ("--unorderd=1", "--unordered"), ("--dryrun", "--dry-run")])
def test_an_unknown_option_and_what_was_meant(weir, option, meant):
    said = refused(weir, "fetch", NOWHERE, option)
    assert f'"{option.partition("=")[0]}"' in said and f'"{meant}"' in said


def test_an_unknown_option_like_no_other(weir):
    said = refused(weir, "fetch", NOWHERE, "--xyzzy")
    assert '"--xyzzy"' in said and "did you mean" not in said and "--help" in said


def test_an_unknown_command(weir):
    said = refused(weir, "fecth")
    assert '"fecth"' in said and "fetch" in said.replace("fecth", "")


@pytest.mark.parametrize("args,words", [
    (["-j", "0"], ["--jobs", "1"]), (["-j", "many"], ["--jobs", '"many"']),
    (["-j"], ["-j", "needs a value"]), (["--rate", "fast"], ["--rate", "100/s"]),
    (["--rate", "0/s"], ["--rate"]), (["--timeout", "5 parsecs"], ["--timeout", "250ms"]),
    (["--max-body", "big"], ["--max-body", "64M"]), (["--retry", "-1"], ["--retry"]),
    (["--memory", "1K"], ["--memory"]), (["--progress", "loud"], ["--progress", "plain"]),
    (["--format", "xml"], ["--format", "ndjson", "csv"]),
    (["--input-format", "xml"], ["--input-format", "tsv"]),
    (["-X", "GET /"], ["method"]), (["-H", "no colon"], ["--header"]),
    (["--unordered=yes"], ["--unordered", "no value"]), (["-Z"], ['"-Z"']),
    (["--user", "nobody"], ["--user", "NAME:PASSWORD"]),
    (["--user-agent", "a\nb"], ["--user-agent"]),
    (["-i", "-", "-d", "@-"], ["-i -", "-d @-"]),
    (["--deadline", "0s"], ["--deadline"]),
])
def test_options_with_wrong_values(weir, args, words):
    said = refused(weir, "fetch", NOWHERE, *args)
    for word in words:
        assert word in said


def test_nothing_to_fetch(weir):
    assert "-i FILE" in refused(weir, "fetch")


@pytest.mark.parametrize("template,words", [
    ("{1..", ["column 20"]), ("{a", ["column 20"]), ("}", ["column 20"]),
    ("{1..99999999999999999999}", ["column 20"]), ("{}", ["column 20"]),
    ("{1..5..0}", ["column 20"]), ("{1..5}{x", ["column 26"]),
    ("{1..9999999999}{1..9999999999}", ["combinations"]),
    ("{id:upper}", ["column 20"]), ("{env:WEIR_NO_SUCH}", ["WEIR_NO_SUCH"]),
])
def test_templates_that_make_no_sense(weir, template, words):
    said = refused(weir, "fetch", NOWHERE + template)
    for word in words:
        assert word in said
    assert said.startswith("weir fetch: URL")


def test_a_column_without_an_input(weir):
    said = refused(weir, "fetch", NOWHERE + "{id}")
    assert '"id"' in said or "{id}" in said
    assert "-i" in said or "input" in said


def test_an_unknown_column(weir, tmp_path):
    (tmp_path / "ids.csv").write_text("id,name\n1,a\n")
    for args in [[NOWHERE + "{nmae}"], [NOWHERE, "-H", "X-A: {nmae}"],
                 [NOWHERE, "-d", '{"a": "{nmae}"}'], [NOWHERE, "--save", "{nmae}"]]:
        said = refused(weir, "fetch", "-i", tmp_path / "ids.csv", *args)
        assert "nmae" in said, args
        assert "name" in said, args  # what there is


def test_a_placeholder_of_a_range_that_is_not_there(weir):
    assert "{#2}" in refused(weir, "fetch", NOWHERE + "{1..2}", "--save", "{#2}")


# ---- exit codes ----

def test_exit_codes(weir, nginx):
    assert weir("fetch", nginx.url + "/hello.txt").returncode == 0
    assert weir("fetch", nginx.url + "/hello.txt", nginx.url + "/nothing").returncode == 1
    assert weir("fetch", nginx.url + "/{").returncode == 2


def test_fail_fast(weir, api):
    server = api(lambda asked: 404 if asked.path == "/3" else b"")
    done = weir("fetch", server.url + "/{1..1000}", "--fail-fast", "-j", "1")
    assert done.returncode == 1
    total, parts = accounted(done)
    assert total == 1000 == sum(parts.values())
    assert parts["failed"] == 1 and len(server.asked) < 1000
    assert "--fail-fast" in done.log


def test_standard_input_is_left_alone(weir, nginx, processes):
    process = weir.start("fetch", nginx.url + "/hello.txt", stdin=subprocess.PIPE)
    processes.append(process)
    assert process.wait(timeout=LIMIT) == 0


# ---- signals ----

def begin(weir, api, processes, count=5, at_once=3, *args):
    """A run of which so many are in flight, and the event that lets them be answered."""
    gate = threading.Event()
    server = api(lambda _: gate.wait(LIMIT) and b"late")
    process = weir.start("fetch", server.url + f"/{{1..{count}}}", "-j", at_once, *args)
    processes.append(process)
    wait_until(lambda: len(server.asked) == at_once)
    return process, server, gate


def finish(process):
    out, log = process.communicate(timeout=LIMIT)
    return process.returncode, out, log.decode()


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                         (signal.SIGHUP, 129)])
def test_the_first_signal_drains(weir, api, processes, number, code):
    process, server, gate = begin(weir, api, processes)
    process.send_signal(number)
    assert b"finishing 3 in flight" in process.stderr.readline()
    gate.set()
    status, out, log = finish(process)
    assert status == code
    assert len(parse_rows(out)) == 3 == len(server.asked)
    assert "5 requests = 3 ok + 2 not started" in log
    assert "stopped early" in log


def test_the_second_signal_stops(weir, api, processes):
    process, server, gate = begin(weir, api, processes)
    process.send_signal(signal.SIGINT)
    assert b"finishing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    status, _, log = finish(process)
    gate.set()
    assert status == 130
    assert "5 requests = 3 cancelled + 2 not started" in log
    assert len(server.asked) == 3


def test_ctrl_c_while_the_mock_answers(weir, mock, processes):
    server = mock("--latency", "300ms")
    process = weir.start("fetch", server.url + "/products/{1..5000}", "-j", "10", "--no-body")
    processes.append(process)
    wait_until(lambda: server.get("/stats")["in_flight"] == 10)
    process.send_signal(signal.SIGINT)
    status, out, log = finish(process)
    done = subprocess.CompletedProcess([], status, out, log)
    done.log = log
    total, parts = accounted(done)
    assert status == 130 and total == 5000 == sum(parts.values())
    assert parts["ok"] == len(parse_rows(out)) == server.get("/stats")["status"]["200"]
    assert server.get("/stats")["abandoned"] == 0


def test_ctrl_c_while_the_origin_is_held_back(weir, api, processes):
    server = api((503, {"Retry-After": "60"}))
    process = weir.start("fetch", server.url + "/{1..3}", "-j", "1")
    processes.append(process)
    wait_until(lambda: server.asked and server.in_flight == 0)
    process.send_signal(signal.SIGINT)
    status, _, log = finish(process)
    assert status == 130
    assert re.search(r"3 requests = .*(cancelled|not started)", log), log


def test_ctrl_c_while_the_input_waits(weir, api, processes):
    process = weir.start("fetch", "-i", "-", "--input-format", "lines", api().url + "/{line}",
                         stdin=subprocess.PIPE)
    processes.append(process)
    process.stdin.write(b"a\n")
    process.stdin.flush()
    assert b'"line":"a"' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    log = process.stderr.read()
    assert process.wait(timeout=LIMIT) == 130
    assert b"1 request, ok" in log and b"the rest of the input was not read" in log


def test_ctrl_c_while_the_output_blocks(weir, mock, processes):
    """Nobody reads the rows, so the run cannot end; the third signal ends the process."""
    server = mock()
    process = weir.start("fetch", server.url + "/bytes/100000?{1..100}", "--memory", "1M")
    processes.append(process)
    wait_until(lambda: server.get("/stats")["requests"] >= 2)
    for _ in range(200):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=0.3)
            break
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode in (-signal.SIGINT, 130)


def test_an_ignored_signal_stays_ignored(weir, api, processes):
    """As under nohup."""
    gate = threading.Event()
    server = api(lambda _: gate.wait(LIMIT) and b"")
    process = weir.start("fetch", server.url,
                         preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    processes.append(process)
    wait_until(lambda: server.asked)
    process.send_signal(signal.SIGHUP)
    gate.set()
    assert finish(process)[0] == 0


# ---- the plan, help, version, completion ----

def test_dry_run(weir, api, tmp_path):
    server = api()
    done = weir("fetch", server.url + "/{1..100}", "--dry-run", "--rate", "10/s", "-j", "7", "-o",
                tmp_path / "out.ndjson")
    assert done.returncode == 0 and not server.asked
    assert "100 requests" in done.text and "1 server" in done.text
    assert f"{server.url}/1\n" in done.text and f"{server.url}/100\n" not in done.text
    assert re.search(r"in flight +7\n", done.text)
    assert re.search(r"descriptors +[\d,]+ needed", done.text)
    assert re.search(r"rate +10/s", done.text) and re.search(r"shortest +9\.\d+ s", done.text)
    assert list(tmp_path.iterdir()) == []


def test_dry_run_shows_the_method_and_all_files(weir, tmp_path):
    done = weir("fetch", NOWHERE + "{1..2}", "-d", "x", "--dry-run", "--errors", "bad.ndjson",
                "--save", "out/{#}", cwd=tmp_path)
    assert f"  POST {NOWHERE}1\n" in done.text
    assert re.search(r"rows +standard output\n", done.text)
    assert re.search(r"failed rows +bad.ndjson\n", done.text)
    assert re.search(r"bodies +out/\{#\}\n", done.text)
    done = weir("fetch", NOWHERE, "--dry-run")
    assert f"  {NOWHERE}\n" in done.text
    assert "failed rows" not in done.text and "bodies" not in done.text


def test_dry_run_finds_faults(weir, tmp_path):
    (tmp_path / "ids.csv").write_text("id,x\n1,a\n2\n3,b\n")
    done = weir("fetch", "-i", tmp_path / "ids.csv", NOWHERE + "{id}", "--dry-run")
    assert "3 requests" in done.text and "1 of them would fail" in done.text
    assert "line 3" in done.text


def test_dry_run_shows_no_secret(weir):
    done = weir("fetch", "http://joe:pa55word@127.0.0.1:1/?k={env:KEY}", "--dry-run",
                env={"KEY": "t0ken"})
    assert "pa55word" not in done.text and "t0ken" not in done.text


def test_help_fits_a_screen(weir):
    done = weir("fetch", "--help")
    assert done.returncode == 0 and done.log == ""
    lines = done.text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    for option in ["--output", "--jobs", "--rate", "--retry", "--input", "--dry-run"]:
        assert option in done.text


def test_every_option_of_the_issue_is_in_the_help(weir):
    text = weir("help", "fetch").text
    for option in ["-i", "--input-format", "-X", "-H", "-d", "--user", "--bearer-env", "--netrc",
                   "--cookie", "--proxy", "--cacert", "--cert", "--key", "--insecure", "--http1.1",
                   "--user-agent", "--location", "--headers", "--no-body", "-o", "--format",
                   "--save", "--unordered", "--errors", "--progress", "--dry-run", "-j", "--rate",
                   "--per-host", "--lanes", "--retry", "--retry-on", "--retry-unsafe", "--timeout",
                   "--connect-timeout", "--deadline", "--max-body", "--memory", "--fail-fast"]:
        assert re.search(rf"(^|\s){re.escape(option)}\b", text, re.M), option


@pytest.mark.parametrize("command", ["fetch", "scan", "exec", "mock", "demo"])
def test_help_of_a_command(weir, command):
    long, short = weir("help", command), weir(command, "--help")
    assert (long.returncode, short.returncode) == (0, 0)
    assert len(long.text) > len(short.text) > 300


def test_help_of_all(weir):
    for args in [["--help"], ["help"], []]:
        done = weir(*args)
        assert "fetch" in done.text + done.log and "mock" in done.text + done.log
        assert done.returncode == (0 if args else 2)


def test_help_of_nothing(weir):
    assert weir("help", "nothing").returncode == 2


def test_version(weir):
    assert re.fullmatch(r"weir \d+\.\d+\.\d+\n", weir("--version").text)
    assert "libcurl" in weir("version", "--verbose").text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(weir, shell):
    done = weir("completion", shell)
    assert done.returncode == 0
    assert "unordered" in done.text and "mock" in done.text


@pytest.mark.parametrize("words,completed", [
    ("fetch --unor", ["--unordered"]), ("scan --no-ignore-d", ["--no-ignore-dot"]),
    ("scan --hash s", ["sha256"]), ("sca", ["scan"])])
def test_bash_completes(weir, words, completed):
    first, last = (["weir", *words.split()])[-2:]
    script = weir("completion", "bash").text + (
        f"\nCOMP_WORDS=(weir {words}); COMP_CWORD={words.count(' ') + 1}; COMP_LINE='weir {words}'"
        "; COMP_POINT=${#COMP_LINE}; f=$(complete -p weir | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
        f"; $f weir {last} {first}; echo \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False,
                          timeout=LIMIT)
    assert done.stdout.split() == completed, done.stderr


@pytest.mark.parametrize("args", [["--version"], ["fetch", "--help"], ["help", "fetch"],
                                  ["completion", "bash"], ["fetch", NOWHERE, "--dry-run"]])
def test_texts_on_a_full_disk(weir, args):
    with open("/dev/full", "wb") as full:
        assert weir(*args, stdout=full).returncode == 2


# ---- progress ----

def test_no_progress_away_from_a_terminal(weir, nginx):
    log = weir("fetch", nginx.url + "/products/{1..50}.json").log
    assert "\r" not in log and "\x1b" not in log


def test_quiet(weir, nginx):
    assert weir("fetch", "-q", nginx.url + "/hello.txt").log == ""
    assert "HTTP 404" in weir("fetch", "-q", nginx.url + "/nothing").log


def test_ctrl_c_while_all_wait_to_try_again(weir, api, processes):
    terminal = Terminal()
    process = weir.start("fetch", api((500, {}, b"")).url + "/{1..3}", "-o", "/dev/null",
                         "--retry-delay", "10h", "--retry-max-delay", "10h",
                         stderr=terminal.theirs, env={"TERM": "xterm", "COLUMNS": "100"})
    processes.append(process)
    while b"0 in flight  3 to retry" not in terminal.seen:
        assert len(terminal.seen) < 50_000  # it is drawn ten times a second
        terminal.seen += os.read(terminal.ours, 65536)
    process.send_signal(signal.SIGINT)
    log = terminal.read_until_closed(process)
    assert process.returncode == 130
    assert "nothing in flight; 3 waited to try again" in log and "finishing" not in log


def test_a_terminal_shows_progress_and_a_summary(weir, mock, processes):
    server = mock("--latency", "100ms")
    code, shown, rows = on_terminal(weir, processes, "fetch", server.url + "/products/{1..60}",
                                    "-j", "10", "--no-body")
    assert code == 0
    assert len(parse_rows(rows)) == 60 and b"\x1b" not in rows and b"\r" not in rows
    assert "/60" in shown and "in flight" in shown and "ETA" in shown and "\r" in shown
    last = shown.rpartition("\r\x1b[K")[2]  # what is left once the line is cleared
    assert "60 requests" in last and "all ok" in last and "overlapped" in last
    assert '"url"' not in shown


def test_rows_on_the_terminal_are_not_mixed_with_progress(weir, mock, processes):
    server = mock("--latency", "100ms")
    code, shown, _ = on_terminal(weir, processes, "fetch", server.url + "/products/{1..30}", "-j",
                                 "10", "--no-body", also_rows=True)
    assert code == 0 and "ETA" not in shown
    rows = [line for line in shown.splitlines() if line.startswith("{")]
    assert len(parse_rows(("\n".join(rows) + "\n").encode())) == 30


def test_csv_on_the_terminal_holds_nothing_it_would_obey(weir, api, processes):
    body = "a\x1b[2Jb\u009bc\nd".encode()
    server = api((200, {"Content-Type": "text/plain"}, body))
    args = ["fetch", server.url + "/x", "--format", "csv", "-q"]
    code, shown, _ = on_terminal(weir, processes, *args, also_rows=True)
    assert code == 0 and "\x1b" not in shown and "\u009b" not in shown
    assert shown.count("\n") == 2  # the header and one row
    assert r'"a\x1B[2Jb\u{009B}c\nd"' in shown
    assert body in weir(*args).stdout


@pytest.mark.parametrize("args,env", [(["--progress", "none"], {}), ([], {"TERM": "dumb"})])
def test_a_terminal_without_progress(weir, mock, processes, args, env):
    server = mock("--latency", "150ms")
    code, shown, _ = on_terminal(weir, processes, "fetch", server.url + "/products/1", *args, **env)
    assert code == 0
    assert "in flight  " not in shown and "\x1b[K" not in shown and "1 request" in shown


def test_no_color(weir, nginx, processes):
    _, shown, _ = on_terminal(weir, processes, "fetch", nginx.url + "/nothing", "--progress",
                              "none", NO_COLOR="1")
    assert "\x1b[" not in shown
    _, shown, _ = on_terminal(weir, processes, "fetch", nginx.url + "/nothing", "--progress",
                              "none")
    assert "\x1b[" in shown
    assert "\x1b[" in weir("fetch", nginx.url + "/nothing", "--color", "always").log


def test_plain_progress(weir, nginx):
    done = weir("fetch", nginx.url + "/products/{1..50}.json", "--progress", "plain")
    assert done.returncode == 0 and "\r" not in done.log


# ---- secrets ----

SECRETS = {"--user": "joe:s3cret-user", "--cookie": "sid=s3cret-cookie",
           "-H": "Authorization: Bearer s3cret-header",
           "--proxy": "http://joe:s3cret-proxy@127.0.0.1:{port}"}


def without_secrets(*texts):
    for text in texts:
        assert "s3cret" not in (text.decode() if isinstance(text, bytes) else text)
        assert base64.b64encode(b"joe:s3cret-user").decode() not in str(text)
    return True


def secret_args(port):
    args = [text.replace("{port}", str(port)) for pair in SECRETS.items() for text in pair]
    return [*args, "--bearer-env", "TOKEN"], {"TOKEN": "s3cret-token", "KEY": "s3cret-key"}


def test_secrets_stay_out_of_rows_and_messages(weir, refused_port, nginx, tmp_path):
    args, env = secret_args(refused_port)
    url = "http://joe:s3cret-url@weir-test.invalid/?key={env:KEY}"
    done = weir("fetch", url, *args, "--retry", "0", "--headers", "--errors", tmp_path / "bad",
                env=env)
    assert done.returncode == 1
    assert without_secrets(done.stdout, done.stderr, (tmp_path / "bad").read_bytes())
    with_auth = nginx.url.replace("://", "://joe:s3cret-url@")
    done = weir("fetch", with_auth + "/private/hello.txt?{env:KEY}", *args[:6], env=env)
    assert done.rows[0]["status"] == 401
    assert without_secrets(done.stdout, done.stderr)


@pytest.mark.parametrize("args", [
    ["http://joe:s3cret@127.0.0.1/{1.."], ["http://joe:s3cret@127.0.0.1/{nope}"],
    ["ftp://joe:s3cret@127.0.0.1/"], ["http://joe:s3cret@/x"], ["joe:s3cret@127.0.0.1/"],
    ["http://joe:s3cret@127.0.0.1/a b"], ["http://joe:s3cret@127.0.0.1:x/"],
    [NOWHERE, "-H", "s3cret"], [NOWHERE, "-H", "X: s3cret {nope}"], [NOWHERE, "-H", "X: s3cret {"],
    [NOWHERE, "--user", "s3cret"], [NOWHERE, "--proxy", "joe://joe:s3cret@x", "--retry", "0"],
    [NOWHERE, "--proxy", "http://joe:s3cret@[::1/", "--retry", "0"],
    [NOWHERE, "--user=s3cret"], [NOWHERE, "-us3cret"],
])
def test_secrets_stay_out_of_refusals(weir, args):
    done = weir("fetch", *args)
    assert done.returncode in (1, 2)
    assert without_secrets(done.stdout, done.stderr)


def test_secrets_stay_out_of_the_list_of_processes(weir, hostile, processes):
    gate = threading.Event()
    proxy = hostile(lambda conn: gate.wait(LIMIT))
    args, env = secret_args(proxy.port)
    process = weir.start("fetch", "http://joe:s3cret-url@weir-test.invalid/", "--user=joe:s3cret-2",
                         "-ujoe:s3cret-3", "-Hs3cret: 4", *args, env=env)
    processes.append(process)
    wait_until(lambda: proxy.connections)
    command_line = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
    gate.set()
    assert b"fetch" in command_line
    assert without_secrets(command_line)
