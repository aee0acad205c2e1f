"""Where the rows come from: formats, compression, streams, and everything that may be wrong."""

import gzip
import json
import os
import shutil
import subprocess
import threading

import pytest

from conftest import LIMIT


def fetch(weir, api, data, *args, **options):
    """Fetches /{id} for each row of data, given on standard input."""
    return weir("fetch", "-i", "-", *args, api().url + "/{id}", input=data, **options)


def ids(done):
    return [row["id"] for row in done.rows]


# ---- formats ----

def test_csv(weir, api):
    done = fetch(weir, api, 'id,name\r\n1,"a, ""b""\r\nc"\r\n2,\r\n', "--input-format", "csv")
    assert done.returncode == 0, done.log
    assert [(row["id"], row["name"]) for row in done.rows] == [("1", 'a, "b"\r\nc'), ("2", "")]


def test_tsv(weir, api):
    done = fetch(weir, api, 'id\tname\n1\ta, "b"\n', "--input-format", "tsv")
    assert [(row["id"], row["name"]) for row in done.rows] == [("1", 'a, "b"')], done.log


def test_ndjson_keeps_what_it_holds(weir, api):
    line = ('{"id": 1, "big": 123456789012345678901234567890, "pi": 3.10, '
            '"deep": {"a": [null, true]}}')
    done = fetch(weir, api, line + "\n\n" + '{"id": "two", "other": 1}\n', "--input-format",
                 "ndjson")
    assert done.returncode == 0, done.log
    assert b'"big":123456789012345678901234567890' in done.stdout
    assert b'"pi":3.10' in done.stdout
    first, second = done.rows
    assert first["deep"] == {"a": [None, True]} and "other" not in first
    assert second["id"] == "two" and second["other"] == 1


def test_lines(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines", server.url + "/{line}",
                input="a b\r\nc,d\nlast")
    assert [row["line"] for row in done.rows] == ["a b", "c,d", "last"]


@pytest.mark.parametrize("name,data", [
    ("ids.csv", "id\n7\n"), ("ids.tsv", "id\tx\n7\ty\n"), ("ids.ndjson", '{"id": "7"}\n'),
    ("ids.jsonl", '{"id": "7"}\n')])
def test_the_suffix_tells(weir, api, tmp_path, name, data):
    (tmp_path / name).write_text(data)
    done = weir("fetch", "-i", tmp_path / name, api().url + "/{id}")
    assert ids(done) == ["7"], done.log


def test_a_suffix_that_tells_nothing_means_lines(weir, api, tmp_path):
    (tmp_path / "ids.txt").write_text("7\n8\n")
    done = weir("fetch", "-i", tmp_path / "ids.txt", api().url + "/{line}")
    assert [row["line"] for row in done.rows] == ["7", "8"], done.log


def test_a_byte_order_mark_is_no_part_of_a_name(weir, api):
    for form, data in [("csv", "id\n7\n"), ("ndjson", '{"id": "7"}\n')]:
        done = fetch(weir, api, b"\xef\xbb\xbf" + data.encode(), "--input-format", form)
        assert ids(done) == ["7"], done.log


# ---- compression ----

CSV = "id\n" + "".join(f"{n}\n" for n in range(1, 1001))


@pytest.mark.parametrize("name", ["ids.csv.gz", "ids.csv"])
def test_gzip(weir, api, tmp_path, name):
    halves = CSV[:2000].encode(), CSV[2000:].encode()
    (tmp_path / name).write_bytes(b"".join(map(gzip.compress, halves)))  # two members
    done = weir("fetch", "-i", tmp_path / name, api().url + "/{id}", "--no-body")
    assert ids(done) == [str(n) for n in range(1, 1001)], done.log


def test_gzip_from_standard_input(weir, api):
    assert ids(fetch(weir, api, gzip.compress(b"id\n7\n"), "--input-format", "csv")) == ["7"]


def test_zstd(weir, api, tmp_path):
    if not shutil.which("zstd"):
        pytest.skip("zstd, the command, is not installed")
    data = subprocess.run(["zstd", "-qc"], input=CSV.encode(), capture_output=True,
                          check=True).stdout
    (tmp_path / "ids.csv.zst").write_bytes(data)
    done = weir("fetch", "-i", tmp_path / "ids.csv.zst", api().url + "/{id}", "--no-body")
    assert ids(done) == [str(n) for n in range(1, 1001)], done.log


@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda data: data[:-8] + bytes(8)],
                         ids=["cut short", "bad checksum"])
def test_a_damaged_archive_ends_the_run(weir, api, tmp_path, damage):
    (tmp_path / "ids.csv.gz").write_bytes(damage(gzip.compress(CSV.encode())))
    done = weir("fetch", "-i", tmp_path / "ids.csv.gz", api().url + "/{id}", "-o",
                tmp_path / "out.ndjson")
    assert done.returncode == 2
    assert "ids.csv.gz" in done.log
    assert not (tmp_path / "out.ndjson").exists()


# ---- streams ----

def test_rows_come_while_the_input_is_open(weir, api, processes):
    process = weir.start("fetch", "-i", "-", "--input-format", "lines", api().url + "/{line}",
                         stdin=subprocess.PIPE)
    processes.append(process)
    for line in ["a", "b", "c"]:
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["line"] == line
    rest, log = process.communicate(timeout=LIMIT)
    assert (rest, process.returncode) == (b"", 0), log


def peak_memory(measured_weir, api, count):
    """The bytes resident at most while so many lines come through a pipe, and its rows."""
    process = measured_weir.start("fetch", "-i", "-", "--input-format", "lines", "-j", "8",
                                  "--no-body", "--memory", "4M", "-q", api().url + "/{line}",
                                  stdin=subprocess.PIPE)
    feeder = threading.Thread(target=feed, args=(process.stdin, count), daemon=True)
    feeder.start()
    rows = sum(1 for _ in process.stdout)
    feeder.join(timeout=LIMIT)
    peak = int(process.stderr.read().split()[-1])
    process.stdout.close()
    process.stderr.close()
    assert process.wait(LIMIT) == 0
    return rows, peak


def feed(pipe, count):
    for number in range(count):
        pipe.write(b"%d%s\n" % (number, b"x" * 2000))
    pipe.close()


def test_a_long_pipe_needs_no_more_memory(measured_weir, api, sanitized):
    few, small = peak_memory(measured_weir, api, 3000)
    many, large = peak_memory(measured_weir, api, 12000)  # 18 MB more, if they were kept
    assert (few, many) == (3000, 12000)
    assert sanitized or large - small < 8 * 1024


def test_a_fifo(weir, api, tmp_path, processes):
    os.mkfifo(tmp_path / "ids.csv")
    process = weir.start("fetch", "-i", tmp_path / "ids.csv", api().url + "/{id}")
    processes.append(process)
    with open(tmp_path / "ids.csv", "w") as pipe:
        pipe.write("id\n7\n")
    out, log = process.communicate(timeout=LIMIT)
    assert json.loads(out)["id"] == "7", log


# ---- what is wrong ----

def test_ragged_rows_fail_alone(weir, api):
    done = fetch(weir, api, "id,name\n1,a\n2\n3,b,c\n4,d\n", "--input-format", "csv")
    assert done.returncode == 1
    first, short, long, last = done.rows
    assert (first["status"], last["status"], last["id"]) == (200, 200, "4")
    assert (short["status"], short["attempts"]) == (None, 0)
    assert "line 3" in short["error"] and "line 4" in long["error"]
    assert "4 requests = 2 ok + 2 failed" in done.log


def test_a_nul_byte_is_data(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines", server.url + "/{line}",
                input=b"a\0b\nc\n")
    assert [row["line"] for row in done.rows][-1] == "c"
    assert len(done.rows) == 2
    first = done.rows[0]
    assert first["error"] or (first["line"] == "a\0b" and "/a%00b" in server.paths)


@pytest.mark.parametrize("form,header", [("lines", b""), ("csv", b"line\n")])
def test_invalid_utf8_fails_alone(weir, api, form, header):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", form, server.url + "/{line}",
                input=header + b"a\xff\xfeb\nc\n")
    bad, good = done.rows
    assert done.returncode == 1
    assert "UTF-8" in bad["error"] and bad["attempts"] == 0
    assert good["status"] == 200


def test_json_that_is_none(weir, api):
    done = fetch(weir, api, '{"id": 1}\n{"id": 2\n[3]\n{"id": 4}\n', "--input-format", "ndjson")
    assert done.returncode == 1
    assert [row["status"] for row in done.rows] == [200, None, None, 200]
    assert "line 2" in done.rows[1]["error"] and "line 3" in done.rows[2]["error"]


def test_a_long_line(weir, api):
    long = "x" * 1_000_000
    done = fetch(weir, api, f"id,note\n1,{long}\n2,y\n", "--input-format", "csv")
    assert done.returncode == 0, done.log
    assert done.rows[0]["note"] == long


def test_a_line_beyond_the_limit_fails_alone(weir, api):
    done = fetch(weir, api, f"id,note\n1,{'x' * 1_000_000}\n2,y\n", "--input-format", "csv",
                 "--max-row", "64K")
    assert done.returncode == 1
    long, good = done.rows
    assert long["attempts"] == 0 and "--max-row" in long["error"]
    assert good["status"] == 200


def test_a_url_beyond_all_limits_fails_alone(weir, api):
    server = api()
    done = weir("fetch", "-i", "-", "--input-format", "lines", server.url + "/{line}",
                input="é" * 1_000_000 + "\nok\n")
    assert done.returncode == 1
    assert [row["status"] for row in done.rows] == [None, 200]


def test_an_empty_input(weir, api):
    for form in ["csv", "tsv", "ndjson", "lines"]:
        url = api().url + ("/{line}" if form == "lines" else "/x")
        done = weir("fetch", "-i", "-", "--input-format", form, url, input="")
        assert (done.returncode, done.stdout) == (0, b""), (form, done.log)
        assert "the input is empty" in done.log


@pytest.mark.parametrize("args", [[], ["--dry-run"]])
def test_a_header_and_nothing_else(weir, api, args):
    done = fetch(weir, api, "id,name\n", "--input-format", "csv", *args)
    assert done.returncode == 0, done.log
    assert args or done.stdout == b""
    wrong = weir("fetch", "-i", "-", "--input-format", "csv", *args, api().url + "/{nmae}",
                 input="id,name\n")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert '"nmae"' in wrong.log and "the input has: id, name" in wrong.log


def test_a_header_and_nothing_else_gives_the_columns(weir, api, tmp_path):
    done = fetch(weir, api, "id,name\n", "--input-format", "csv", "-o", tmp_path / "out.csv")
    assert done.returncode == 0, done.log
    assert (tmp_path / "out.csv").read_text().startswith("id,name,url,status,")


def test_a_directory(weir, api, tmp_path):
    done = weir("fetch", "-i", tmp_path, api().url + "/{line}")
    assert done.returncode == 2
    assert "is a directory" in done.log


def test_a_file_that_is_not_there(weir, api, tmp_path):
    done = weir("fetch", "-i", tmp_path / "none.csv", api().url + "/{id}")
    assert done.returncode == 2
    assert "none.csv" in done.log and "No such file" in done.log


def test_a_file_that_may_not_be_read(weir, api, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "ids.csv").write_text("id\n1\n")
    (tmp_path / "ids.csv").chmod(0)
    done = weir("fetch", "-i", tmp_path / "ids.csv", api().url + "/{id}")
    assert done.returncode == 2 and "ermission denied" in done.log


def test_columns_of_the_same_name(weir, api):
    done = fetch(weir, api, "id,id\n1,2\n", "--input-format", "csv")
    assert done.returncode == 2
    assert '"id"' in done.log


def test_standard_input_that_is_closed(weir, api):
    done = weir("fetch", "-i", "-", "--input-format", "lines", api().url + "/{line}",
                stdin=None, preexec_fn=lambda: os.close(0))
    assert done.returncode == 2 and "standard input" in done.log


def test_a_row_that_makes_no_url(weir, api):
    done = fetch(weir, api, '{"id": 1}\n{"x": 2}\n', "--input-format", "ndjson")
    assert done.returncode == 1
    bad = done.rows[1]
    assert bad["url"] is None and bad["attempts"] == 0 and '"id"' in bad["error"]
    assert 'the row has no column "id"' in done.log and "/\n" not in done.log


def test_an_array_as_ndjson(weir, api):
    done = fetch(weir, api, '[{"id":1},{"id":2}]\n', "--input-format", "ndjson")
    assert done.returncode == 2 and done.stdout == b""
    assert "line 1" in done.log and "begins an array: jq -c" in done.log


def test_rows_without_columns(weir, api):
    done = fetch(weir, api, "{}\n", "--input-format", "ndjson")
    assert done.returncode == 2
    assert "the input has no columns" in done.log


@pytest.mark.parametrize("args", [[], ["--dry-run"]])
def test_neither_a_url_nor_a_column_url(weir, tmp_path, args):
    (tmp_path / "q.csv").write_text("id,q\n1,a\n")
    done = weir("fetch", "-i", tmp_path / "q.csv", *args)
    assert done.returncode == 2
    assert "give a URL" in done.log and 'column "url"' in done.log
