"""Where the rows and bodies go: order, formats, files that appear whole, and full disks."""

import base64
import csv
import io
import json
import os
import re
import signal
import subprocess
import tempfile
import threading

import pytest

from conftest import LIMIT, parse_rows, product, read_rows, size_of, wait_until


def numbers(rows):
    return [int(row["url"].rpartition("/")[2].removesuffix(".json")) for row in rows]


# ---- order ----

def backwards(count):
    """An answer that keeps request 1 back until all others have been answered."""
    last = threading.Event()
    left = [count - 1]
    lock = threading.Lock()

    def answer(asked):
        if asked.path.endswith("/1"):
            assert last.wait(LIMIT)
            return b"first"
        with lock:
            left[0] -= 1
            if not left[0]:
                last.set()
        return b"other"
    return answer


def test_rows_come_in_input_order(weir, api):
    done = weir("fetch", api(backwards(40)).url + "/{1..40}", "-j", "40")
    assert numbers(done.rows) == list(range(1, 41))


def test_unordered_gives_the_same_rows(weir, api):
    done = weir("fetch", api(backwards(40)).url + "/{1..40}", "-j", "40", "--unordered")
    assert sorted(numbers(done.rows)) == list(range(1, 41))
    assert done.rows[0]["body"] == "other"


def test_unordered_rows_come_as_they_finish(weir, api, processes):
    gate = threading.Event()
    server = api(lambda asked: gate.wait(LIMIT) and b"" if asked.path == "/1" else b"")
    process = weir.start("fetch", server.url + "/{1..3}", "--unordered", "-j", "3")
    processes.append(process)
    early = {json.loads(process.stdout.readline())["url"].rpartition("/")[2] for _ in range(2)}
    assert early == {"2", "3"}
    gate.set()
    rest, _ = process.communicate(timeout=LIMIT)
    assert numbers(parse_rows(rest)) == [1]


# ---- rows ----

def test_the_columns_of_a_row(weir, nginx):
    done = weir("fetch", nginx.url + "/products/1.json")
    row = done.rows[0]
    assert list(row) == ["url", "status", "attempts", "elapsed_ms", "error", "body"]
    assert (row["status"], row["attempts"], row["error"]) == (200, 1, None)
    assert isinstance(row["elapsed_ms"], (int, float)) and row["elapsed_ms"] >= 0
    assert row["body"] == product(1)


def test_input_columns_come_first(weir, api):
    done = weir("fetch", "-i", "-", "--input-format", "csv", api().url, input="b,a\n1,2\n")
    assert list(done.rows[0])[:3] == ["b", "a", "url"]


def test_columns_of_the_same_name_are_prefixed(weir, api):
    done = weir("fetch", "-i", "-", "--input-format", "csv", api().url,
                input="status,error,input_body,x\n1,2,3,4\n")
    row = done.rows[0]
    assert (row["input_status"], row["input_error"], row["input_body"], row["x"]) == \
        ("1", "2", "3", "4")
    assert (row["status"], row["error"]) == (200, None)


def test_a_prefixed_name_that_is_taken(weir, api):
    done = weir("fetch", "-i", "-", "--input-format", "csv", api().url,
                input="status,input_status\n1,2\n")
    if done.returncode:
        assert done.returncode == 2 and "input_status" in done.log
    else:
        assert len(json.loads(done.stdout, object_pairs_hook=list)) == 8
        names = [name for name, _ in json.loads(done.stdout, object_pairs_hook=list)]
        assert len(set(names)) == len(names)


def body_of(weir, api, data, kind=None, *args):
    headers = {"Content-Type": kind} if kind else {}
    done = weir("fetch", api((200, headers, data)).url, *args)
    assert done.returncode == 0, done.log
    return done


def test_json_is_embedded_digit_for_digit(weir, api):
    data = (b'{\n  "big": 123456789012345678901234567890,\r\n "pi": 3.140000000000000000001,\n'
            b'\t"e": 1E+400, "s": "a  b"\n}\n')
    done = body_of(weir, api, data, "application/json; charset=utf-8")
    assert (b'"body":{"big":123456789012345678901234567890,"pi":3.140000000000000000001,'
            b'"e":1E+400,"s":"a  b"}') in done.stdout
    assert done.stdout.count(b"\n") == 1


@pytest.mark.parametrize("data,value", [
    (b"[1, 2]", [1, 2]), (b'"text"', "text"), (b"null", None), (b" true ", True), (b"0", 0)])
def test_any_json_value(weir, api, data, value):
    row = body_of(weir, api, data, "application/json").rows[0]
    assert row["body"] == value and "body_encoding" not in row


@pytest.mark.parametrize("data", [b"{not json", b'{"a": 1} {"b": 2}', b"", b"[1,]", b"NaN"])
def test_what_says_it_is_json_and_is_not(weir, api, data):
    assert body_of(weir, api, data, "application/json").rows[0]["body"] == data.decode()


def test_deep_json(weir, api):
    data = b"[" * 100_000 + b"]" * 100_000
    done = body_of(weir, api, data, "application/json")
    assert done.stdout.count(b"\n") == 1
    assert b"[[[" in done.stdout


def test_text_is_a_string(weir, api):
    text = 'a "b"\n\t\\ ü \u20ac \U0001f41f {"c": 1}'
    row = body_of(weir, api, text.encode(), "text/plain; charset=utf-8").rows[0]
    assert row["body"] == text and "body_encoding" not in row


@pytest.mark.parametrize("data", [bytes(range(256)), b"a\0b", b"\xff", b"\xc3", b"\xed\xa0\x80"],
                         ids=["all bytes", "NUL", "0xff", "half a character", "a surrogate"])
def test_anything_else_is_base64(weir, api, data):
    row = body_of(weir, api, data, "application/octet-stream").rows[0]
    assert row["body_encoding"] == "base64"
    assert base64.b64decode(row["body"], validate=True) == data


def test_headers(weir, api):
    server = api((200, {"X-One": "1", "X-Zwei": "\u00fc".encode().decode("latin-1")}, b""))
    row = weir("fetch", server.url, "--headers").rows[0]
    assert row["headers"]["x-one"] == "1"
    assert row["headers"]["x-zwei"] == "\u00fc"


def test_repeated_headers_are_a_list(weir, hostile):
    server = hostile(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 0\r\nx-a: 2\r\n\r\n")
    assert weir("fetch", server.url, "--headers").rows[0]["headers"]["x-a"] == ["1", "2"]


def test_no_body(weir, nginx):
    row = weir("fetch", nginx.url + "/products/1.json", "--no-body").rows[0]
    assert row["status"] == 200 and "body" not in row and "body_encoding" not in row


# ---- CSV ----

def test_csv(weir, api, tmp_path):
    server = api((200, {"Content-Type": "application/json"}, b'{"a": "x,y"}'))
    out = tmp_path / "out.csv"
    done = weir("fetch", "-i", "-", "--input-format", "csv", server.url + "/{n}", "-o", out,
                input='n,note\n1,"a ""b"",\nc"\n2,\n')
    assert done.returncode == 0, done.log
    rows = list(csv.DictReader(io.StringIO(out.read_text(), newline="")))
    assert [(row["n"], row["note"]) for row in rows] == [("1", 'a "b",\nc'), ("2", "")]
    assert [row["status"] for row in rows] == ["200", "200"]
    assert json.loads(rows[0]["body"]) == {"a": "x,y"}


def test_csv_on_standard_output(weir, nginx):
    done = weir("fetch", nginx.url + "/bytes.bin", nginx.url + "/hello.txt", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.text, newline="")))
    assert base64.b64decode(rows[0]["body"]) == bytes(range(256))
    assert [row["body_encoding"] for row in rows] == ["base64", ""]
    assert rows[1]["body"] == "hello\n"


# ---- names that promise another format ----

@pytest.mark.parametrize("option", ["-o", "--errors"])
@pytest.mark.parametrize("name", ["o.csv.gz", "o.ndjson.zst", "out.tsv", "out.TSV", "out.parquet",
                                  "out.xlsx", "out.arrow"])
def test_a_format_that_is_not_written(weir, api, tmp_path, option, name):
    server = api()
    done = weir("fetch", server.url, option, name, cwd=tmp_path)
    assert done.returncode == 2 and not server.asked
    assert name in done.log and ".csv" in done.log and "--format" in done.log
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.txt", "out", "out.d.1", "dir.gz/out"])
def test_any_other_name_holds_ndjson(weir, api, tmp_path, name):
    (tmp_path / "dir.gz").mkdir()
    assert weir("fetch", api().url, "-o", name, cwd=tmp_path).returncode == 0
    assert read_rows(tmp_path / name)[0]["body"] == "ok"


def test_a_format_that_was_chosen(weir, api, tmp_path):
    done = weir("fetch", api().url, "-o", "out.tsv", "--format", "ndjson", cwd=tmp_path)
    assert done.returncode == 0
    assert read_rows(tmp_path / "out.tsv")[0]["body"] == "ok"


@pytest.mark.parametrize("rows,errors", [("a.ndjson", "b.csv"), ("a.csv", "b.ndjson")])
def test_failed_rows_in_another_format(weir, api, tmp_path, rows, errors):
    done = weir("fetch", api().url, "-o", rows, "--errors", errors, cwd=tmp_path)
    assert done.returncode == 2 and f"--errors: {errors}" in done.log
    done = weir("fetch", api().url, "-o", rows, "--errors", errors, "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0


# ---- where failed rows go ----

def test_errors_apart(weir, nginx, tmp_path):
    done = weir("fetch", nginx.url + "/products/{199..202}.json", "-o", tmp_path / "good.ndjson",
                "--errors", tmp_path / "bad.ndjson")
    assert done.returncode == 1
    assert numbers(read_rows(tmp_path / "good.ndjson")) == [199, 200]
    bad = read_rows(tmp_path / "bad.ndjson")
    assert numbers(bad) == [201, 202]
    assert {row["error"] for row in bad} == {"HTTP 404 Not Found"}


def test_errors_file_without_errors(weir, nginx, tmp_path):
    weir("fetch", nginx.url + "/hello.txt", "--errors", tmp_path / "bad.ndjson")
    assert read_rows(tmp_path / "bad.ndjson") == []


# ---- a file per body ----

def test_save(weir, nginx, tmp_path):
    done = weir("fetch", nginx.url + "/products/{1..3}.json", nginx.url + "/nothing", "--save",
                "out/{#}.json", cwd=tmp_path)
    assert done.returncode == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"1.json", "2.json", "3.json"}
    assert json.loads((tmp_path / "out" / "2.json").read_bytes()) == product(2)
    assert [row["saved"] for row in done.rows] == ["out/1.json", "out/2.json", "out/3.json", None]


def test_save_keeps_every_byte(weir, nginx, tmp_path):
    weir("fetch", nginx.url + "/bytes.bin", "--save", tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == bytes(range(256))


HOSTILE_NAMES = ["../x", "/etc/x", "..", ".", "a/b", "", "../../x", "a\0b", "x\ny", "\x1b[2J",
                 "..\\x", "%2e%2e%2fx", "...", "a/../../x", "~", "-rf", "x" * 300]


def everything_below(folder):
    return {os.path.relpath(os.path.join(where, name), folder)
            for where, folders, files in os.walk(folder) for name in folders + files}


@pytest.mark.parametrize("template", ["{v}", "{v}.json", "sub/{v}/x"])
def test_save_stays_in_its_folder(weir, api, tmp_path, template):
    (tmp_path / "a" / "b" / "out").mkdir(parents=True)
    lines = "".join(json.dumps({"v": name}) + "\n" for name in HOSTILE_NAMES)
    done = weir("fetch", "-i", "-", "--input-format", "ndjson", api().url, "--save",
                "out/" + template, input=lines, cwd=tmp_path / "a" / "b")
    rows = done.rows
    assert len(rows) == len(HOSTILE_NAMES)
    outside = {name for name in everything_below(tmp_path) if not name.startswith("a/b/out/")}
    assert outside == {"a", "a/b", "a/b/out"}
    assert not os.path.exists("/etc/x") and not os.path.exists("/etc/x.json")
    for row in rows:
        assert row["saved"] is None or os.path.isfile(tmp_path / "a" / "b" / row["saved"])
        assert (row["saved"] is None) == (row["error"] is not None)
    by_name = {row["v"]: row for row in rows}
    if template == "{v}.json":
        assert by_name["a/b"]["saved"] == "out/a%2Fb.json"
        assert by_name["../x"]["saved"].count("/") == 1
    for name in everything_below(tmp_path / "a" / "b" / "out"):
        assert name.isprintable()


def test_save_follows_no_link_out(weir, api, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("before")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "folder").symlink_to(outside)
    (tmp_path / "out" / "name").symlink_to(outside / "file")
    done = weir("fetch", "-i", "-", "--input-format", "csv", api().url, "--save",
                "out/{a}/{b}", cwd=tmp_path, input="a,b\nfolder,x\n")
    assert done.returncode == 1 and "leads out" in done.rows[0]["error"]
    done = weir("fetch", "-i", "-", "--input-format", "lines", api().url, "--save", "out/{line}",
                cwd=tmp_path, input="name\n")
    assert done.returncode == 0, done.log
    assert (outside / "file").read_text() == "before"
    assert (tmp_path / "out" / "name").read_text() == "ok"
    assert {path.name for path in outside.iterdir()} == {"file"}


def test_save_of_one_name_for_all_is_refused(weir, api, tmp_path):
    server = api()
    done = weir("fetch", server.url + "/{1..2}", "--save", tmp_path / "same")
    assert done.returncode == 2 and not server.asked
    assert "--save" in done.log


# ---- files that appear whole ----

def held(api):
    """A server whose answers from /2 on wait for the event."""
    gate = threading.Event()
    return api(lambda asked: gate.wait(LIMIT) and b"" if asked.path != "/1" else b""), gate


@pytest.mark.parametrize("options,before,after", [
    ([], {"out.ndjson.partial", "out.ndjson.weir"}, {"out.ndjson", "out.ndjson.weir"}),
    (["--no-journal"], {"out.ndjson.weir-"}, {"out.ndjson"})], ids=["journal", "no journal"])
def test_the_file_appears_at_the_end(weir, api, tmp_path, processes, options, before, after):
    server, gate = held(api)
    out = tmp_path / "out.ndjson"
    out.write_text("before\n")
    process = weir.start("fetch", server.url + "/{1..2}", "-o", out, *options)
    processes.append(process)
    wait_until(lambda: len(server.asked) == 2)
    assert out.read_text() == "before\n"
    there = {re.sub("-[a-z0-9]{6}$", "-", path.name) for path in tmp_path.iterdir()}
    assert there - {"out.ndjson.weir-wal"} == before | {"out.ndjson"}
    gate.set()
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert numbers(read_rows(out)) == [1, 2]
    assert {path.name for path in tmp_path.iterdir()} == after


@pytest.mark.parametrize("options,journal", [([], ["out.ndjson.weir"]), (["--no-journal"], [])],
                         ids=["journal", "no journal"])
def test_ctrl_c_leaves_a_partial_file(weir, api, tmp_path, processes, options, journal):
    server, gate = held(api)
    out = tmp_path / "out.ndjson"
    process = weir.start("fetch", server.url + "/{1..2}", "-o", out, *options)
    processes.append(process)
    wait_until(lambda: len(server.asked) == 2)
    wait_until(lambda: any(size_of(path) for pattern in ["*.partial", "*.weir-??????"]
                           for path in tmp_path.glob(pattern)))
    process.send_signal(signal.SIGINT)
    assert b"finishing 1 in flight" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=LIMIT)
    gate.set()
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.ndjson.partial", *journal]
    rows = read_rows(tmp_path / "out.ndjson.partial")
    assert numbers(rows)[0] == 1
    assert b"out.ndjson.partial" in log


@pytest.mark.parametrize("args", [["{"], ["x", "--retry-on", "nonsense"], ["x", "-H", "nonsense"]])
def test_a_run_that_cannot_begin_touches_nothing(weir, api, tmp_path, args):
    (tmp_path / "out.ndjson").write_text("before\n")
    done = weir("fetch", api().url + "/" + args[0], *args[1:], "-o", tmp_path / "out.ndjson")
    assert done.returncode == 2
    assert (tmp_path / "out.ndjson").read_text() == "before\n"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("where", ["missing/out.ndjson", ".", "file/out.ndjson", ""])
def test_an_output_that_cannot_be_written(weir, api, tmp_path, where):
    (tmp_path / "file").write_text("")
    server = api()
    done = weir("fetch", server.url, "-o", where, cwd=tmp_path)
    assert done.returncode == 2 and not server.asked
    assert "cannot write" in done.log


def test_an_output_in_a_folder_that_is_closed(weir, api, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "closed").mkdir(mode=0o500)
    server = api()
    done = weir("fetch", server.url, "-o", tmp_path / "closed" / "out")
    assert done.returncode == 2 and not server.asked
    assert "ermission denied" in done.log


def test_errors_that_cannot_be_written(weir, api, tmp_path):
    server = api()
    done = weir("fetch", server.url, "--errors", tmp_path / "none" / "bad")
    assert done.returncode == 2 and not server.asked


def test_rows_and_errors_in_the_same_file(weir, api, tmp_path):
    done = weir("fetch", api().url, "-o", tmp_path / "x", "--errors", tmp_path / "x")
    assert done.returncode == 2 and "both" in done.log


def test_dev_full(weir, nginx):
    done = weir("fetch", nginx.url + "/products/{1..20}.json", "-o", "/dev/full")
    assert done.returncode == 2
    assert "/dev/full" in done.log and "No space left" in done.log


def test_standard_output_is_full(weir, nginx):
    with open("/dev/full", "wb") as full:
        done = weir("fetch", nginx.url + "/products/{1..20}.json", stdout=full)
    assert done.returncode == 2
    assert "No space left" in done.log


def test_standard_output_is_closed(weir, nginx):
    done = weir("fetch", nginx.url + "/hello.txt", preexec_fn=lambda: os.close(1))
    assert done.returncode == 2
    assert "standard output" in done.log


@pytest.fixture
def small_disk():
    """A file system of 128 KiB."""
    folder = tempfile.mkdtemp(prefix="weir-small-")
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "weir-test", folder], capture_output=True,
        check=False)
    if not mounted or mounted.returncode:
        os.rmdir(folder)
        pytest.skip("a tmpfs cannot be mounted here" + (
            ": " + mounted.stderr.decode().strip() if mounted else " without being root"))
    yield folder
    subprocess.run(["umount", folder], check=True)
    os.rmdir(folder)


def test_a_full_disk(weir, api, small_disk):
    with open(os.path.join(small_disk, "out.ndjson"), "w") as before:
        before.write("before\n")
    done = weir("fetch", api(b"x" * 10_000).url + "/{1..50}", "-o",
                os.path.join(small_disk, "out.ndjson"))
    assert done.returncode == 2
    assert "No space left" in done.log
    with open(os.path.join(small_disk, "out.ndjson")) as after:
        assert after.read() == "before\n"
    for name in os.listdir(small_disk):
        assert name in ("out.ndjson", "out.ndjson.partial")
    if "out.ndjson.partial" in os.listdir(small_disk):
        read_rows(os.path.join(small_disk, "out.ndjson.partial"))


def test_bodies_on_a_full_disk(weir, api, small_disk):
    done = weir("fetch", api(b"x" * 10_000).url + "/{1..50}", "--save", small_disk + "/{#}")
    assert done.returncode in (1, 2)
    rows = done.rows
    failed = [row for row in rows if row["error"]]
    assert failed and "No space left" in failed[0]["error"]
    for name in os.listdir(small_disk):
        assert os.path.getsize(os.path.join(small_disk, name)) == 10_000


# ---- broken pipes ----

def test_head_ends_the_run_quietly(weir, nginx):
    with subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as head:
        process = weir.start("fetch", nginx.url + "/products/{1..200}.json?{1..100}",
                             stdout=head.stdin)
        head.stdin.close()
        _, log = process.communicate(timeout=LIMIT)
        row = json.loads(head.stdout.read())
    assert row["body"] == product(1)
    assert (process.returncode, log) == (0, b"")


def test_a_reader_that_is_gone_before_the_first_row(weir, api, processes):
    gate = threading.Event()
    server = api(lambda _: gate.wait(LIMIT) and b"")
    process = weir.start("fetch", server.url)
    processes.append(process)
    wait_until(lambda: server.asked)
    process.stdout.close()
    gate.set()
    log = process.stderr.read()
    assert process.wait(timeout=LIMIT) == 0 and log == b""
    process.stderr.close()
    process.stdout = process.stderr = None


def test_a_symbolic_link_as_output(weir, api, tmp_path):
    (tmp_path / "real").write_text("before\n")
    (tmp_path / "link").symlink_to("real")
    assert weir("fetch", api().url, "-o", tmp_path / "link").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert len(read_rows(tmp_path / "real")) == 1


def test_the_mode_of_a_file_is_kept(weir, api, tmp_path):
    (tmp_path / "out").write_text("")
    (tmp_path / "out").chmod(0o640)
    weir("fetch", api().url, "-o", tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o640
