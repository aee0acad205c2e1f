"""weir scan over tables and whole files, with conditions and chosen columns."""

import base64
import csv
import gzip
import io
import json
import random

import pytest

from conftest import accounted, read_rows
from ripgrep import path_of, text_of

RNG = random.Random(7)
RECORDS = [{"id": number, "status": RNG.choice([200, 301, 404, 500, 503]),
            "path_": f"/{RNG.choice(['a', 'b', 'ü'])}/{number}", "user": RNG.choice([None, "ann", "b,ob", 'q"q']),
            "ms": round(RNG.random() * 1000, 2)} for number in range(2000)]


def as_csv(records):
    out = io.StringIO()
    writer = csv.DictWriter(out, records[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def as_tsv(records):
    """Which knows no quotes."""
    rows = [list(records[0]), *(["" if value is None else str(value) for value in record.values()]
                                for record in records)]
    return "".join("\t".join(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    (root / "a.csv").write_text(as_csv(RECORDS[:500]))
    (root / "b.tsv").write_text(as_tsv(RECORDS[500:1000]))
    (root / "c.ndjson").write_text("".join(json.dumps(r) + "\n" for r in RECORDS[1000:1500]))
    (root / "d.csv.gz").write_bytes(gzip.compress(as_csv(RECORDS[1500:]).encode()))
    (root / "notes.txt").write_text("no table\n")
    return root


def without_place(row):
    return {name: value for name, value in row.items() if name not in ("path", "line", "error")}


def as_texts(record):
    """As CSV has it: all are texts, and what is empty is null."""
    return {name: None if value is None else str(value) for name, value in record.items()}


def test_all_formats_by_their_suffixes(weir, tables):
    done = weir("scan", "--records", "auto", "--sort", "path", cwd=tables)
    assert done.returncode == 0, done.log
    assert "1 file" in done.log and "--records" in done.log  # notes.txt, which was passed over
    rows = done.rows
    assert [row["path"] for row in rows] == [
        name for name in ["a.csv", "b.tsv", "c.ndjson", "d.csv.gz"] for _ in range(500)]
    # a header stands above the records of a table
    assert [row["line"] for row in rows] == [*range(2, 502), *range(2, 502), *range(1, 501),
                                             *range(2, 502)]
    for row, record in zip(rows, RECORDS):
        cells = {name: value for name, value in without_place(row).items() if value not in (None, "")}
        wanted = record if row["path"] == "c.ndjson" else as_texts(record)
        assert cells == {name: value for name, value in wanted.items() if value is not None}


CONDITIONS = [
    ("status >= 500", lambda r: r["status"] >= 500),
    ("status != 200 and ms < 100.5", lambda r: r["status"] != 200 and r["ms"] < 100.5),
    ("user is null or not (user like '%b%')", lambda r: not r["user"] or "b" not in r["user"]),
    ("path_ like '/ü/%5'", lambda r: r["path_"].startswith("/ü/") and r["path_"].endswith("5")),
    ("status in (301, 404)", lambda r: r["status"] in (301, 404)),
    ("id between 490 and 510 or id = 1999", lambda r: 490 <= r["id"] <= 510 or r["id"] == 1999),
    ("user = 'b,ob' and status < 400", lambda r: r["user"] == "b,ob" and r["status"] < 400),
    ("nonsense is null", lambda r: True),
    ("nonsense = 1", lambda r: False),
]


@pytest.mark.parametrize("where,keeps", CONDITIONS, ids=[where for where, _ in CONDITIONS])
def test_conditions(weir, tables, where, keeps):
    files = ["a.csv", "b.tsv", "c.ndjson", "d.csv.gz"]
    done = weir("scan", "--records", "auto", "--where", where, "--select", "id", *files, cwd=tables)
    assert done.returncode == 0, done.log
    assert [int(row["id"]) for row in done.rows] == [r["id"] for r in RECORDS if keeps(r)]
    counted = weir("scan", "--records", "auto", "-c", "--where", where, *files, cwd=tables)
    assert sum(row["count"] for row in counted.rows) == sum(map(keeps, RECORDS))


def test_a_format_that_is_said(weir, tables, tmp_path):
    (tmp_path / "x").write_text(as_csv(RECORDS[:3]))
    done = weir("scan", "--records", "csv", tmp_path / "x")
    assert [int(row["id"]) for row in done.rows] == [0, 1, 2]
    done = weir("scan", "--records", "ndjson", "-", input='{"a":1.50}\n{"b":[1, 2]}\n')
    assert [without_place(row) for row in done.rows] == [{"a": 1.5}, {"b": [1, 2]}]
    assert b"1.50" in done.stdout


def test_columns_in_the_order_that_is_asked_for(weir, tables):
    done = weir("scan", "--records", "auto", "--select", "status,line, id", "--limit", "2", "a.csv",
                cwd=tables)
    assert [list(row) for row in done.rows] == [["status", "line", "id"]] * 2


def test_a_column_with_a_comma(weir, tmp_path):
    (tmp_path / "t.csv").write_text('"a,b",c d\n1,2\n')
    done = weir("scan", "--records", "auto", "--select", "`a,b`,`c d`", "--where", "`a,b` = 1",
                "t.csv", cwd=tmp_path)
    assert done.stdout == b'{"a,b":"1","c d":"2"}\n', done.log


def test_columns_called_as_ours(weir, tmp_path):
    (tmp_path / "t.csv").write_text("path,line,x\np,l,1\n")
    row = weir("scan", "--records", "auto", "t.csv", cwd=tmp_path).rows[0]
    assert row["path"] == "t.csv" and row["line"] == 2
    assert (row["input_path"], row["input_line"], row["x"]) == ("p", "l", "1")


def test_csv_of_tables(weir, tables):
    done = weir("scan", "--records", "auto", "--format", "csv", "a.csv", "d.csv.gz", cwd=tables)
    assert done.returncode == 0, done.log
    rows = list(csv.DictReader(io.StringIO(done.text)))
    assert [{name: row[name] or None for name in RECORDS[0]} for row in rows] == [
        as_texts(r) for r in RECORDS[:500] + RECORDS[1500:]]
    assert rows[0]["path"] == "a.csv" and rows[-1]["path"] == "d.csv.gz"


def test_csv_of_lines(weir, tmp_path):
    (tmp_path / "f").write_bytes(b'a,"b"\n\xff\n')
    done = weir("scan", "--format", "csv", "f", cwd=tmp_path)
    header, *rows = csv.reader(io.StringIO(done.text))
    assert header[:3] == ["path", "line", "text"]
    assert rows[0][:3] == ["f", "1", 'a,"b"']
    assert base64.b64decode(rows[1][2]) == b"\xff"


def test_faulty_records(weir, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n4,5\n")
    (tmp_path / "u.ndjson").write_text('{"a":1}\nnonsense\n{"a":2}\n')
    done = weir("scan", "--records", "auto", "--sort", "path", cwd=tmp_path)
    assert done.returncode == 1, done.log
    faults = [row for row in done.rows if row.get("error") is not None]
    assert [(row["path"], row.get("line")) for row in faults] == [("t.csv", 3), ("u.ndjson", 2)]
    assert [row["a"] for row in done.rows if row.get("error") is None] == ["1", "4", 1, 2]
    done = weir("scan", "--records", "auto", "--errors", "bad.out", "t.csv", cwd=tmp_path)
    assert len(done.rows) == 2 and len(read_rows(tmp_path / "bad.out")) == 1


def test_whole_files(weir, tmp_path):
    files = {"a.txt": b"one\ntwo\n", "b.bin": bytes(range(256)), "c.json": b'{"x": [1,\n 2.50]}\n',
             "d": b"", "e.gz": gzip.compress(b"packed\n")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = weir("scan", "--whole", "--sort", "path", cwd=tmp_path)
    assert done.returncode == 0 and b"2.50" in done.stdout, done.log
    a, b, c, d, e = done.rows
    assert a["content"] == "one\ntwo\n" and a["size"] == 8
    assert b["content_encoding"] == "base64" and base64.b64decode(b["content"]) == files["b.bin"]
    assert c["content"] in ({"x": [1, 2.5]}, files["c.json"].decode())
    assert d["content"] == "" and d["size"] == 0
    assert e["content"] == "packed\n"
    done = weir("scan", "--whole", "--no-decompress", "e.gz", cwd=tmp_path)
    assert text_of(done.rows[0], "content") == files["e.gz"]
    done = weir("scan", "--whole", "-e", "two", cwd=tmp_path)
    assert [row["path"] for row in done.rows] == ["a.txt"]
    done = weir("scan", "--whole", "--where", "size > 100", "--select", "path,size", cwd=tmp_path)
    assert done.rows == [{"path": "b.bin", "size": 256}]


def test_a_whole_file_that_is_too_large(weir, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 5000)
    done = weir("scan", "--whole", "--max-row", "4K", tmp_path / "large")
    assert done.returncode == 1 and "--max-row" in done.rows[0]["error"]
    (tmp_path / "bomb").write_bytes(gzip.compress(b"\0" * 50_000_000))
    done = weir("scan", "--whole", tmp_path / "bomb")
    assert done.returncode == 1 and "--max-row" in done.rows[0]["error"]


def test_conditions_over_lines_and_their_groups(weir, tmp_path):
    (tmp_path / "f").write_text("".join(f"user=u{n} took={n * 3}ms\n" for n in range(100)))
    done = weir("scan", "-e", r"user=(?<user>\w+) took=(?<took>\d+)ms", "--where",
                "took > 200 and line < 80 and user != 'u70'", "--select", "line,user,took", "f",
                cwd=tmp_path)
    assert [row["line"] for row in done.rows] == [n + 1 for n in range(67, 79) if n != 70]
    assert done.rows[0] == {"line": 68, "user": "u67", "took": "201"}
    done = weir("scan", "-c", "--where", "line > 90", "f", cwd=tmp_path)
    assert done.returncode in (0, 2)
    if done.returncode == 0:
        assert [row["count"] for row in done.rows] == [10]
    assert accounted(weir("scan", "--where", "line < 0", "f", cwd=tmp_path)) == (1, {"ok": 1})


@pytest.mark.parametrize("where,words", [
    ("status >=", ["character 10"]), ("(a = 1", [")"]), ("nope = 1", ["nope", "path, line, text"]),
    ("'a' = 'b'", []), ("text like", ["character 10"]), ("a = 1 2", ["character 7"]),
])
def test_conditions_that_are_none(weir, tmp_path, where, words):
    done = weir("scan", "--where", where, tmp_path)
    assert done.returncode == 2 and done.stdout == b"" and done.log.count("\n") == 1
    for word in words:
        assert word in done.log
    assert "--where" in done.log


def test_columns_that_are_not_there(weir, tmp_path):
    done = weir("scan", "--select", "path,nope", tmp_path)
    assert done.returncode == 2 and "nope" in done.log and "text" in done.log


def test_paths_of_tables_that_are_no_text(weir, tmp_path):
    path = bytes(tmp_path) + b"/\xff.csv"
    with open(path, "wb") as file:
        file.write(b"a\n1\n")
    done = weir("scan", "--records", "auto", cwd=tmp_path)
    assert [(path_of(row), row["a"]) for row in done.rows] == [(b"\xff.csv", "1")]
