"""weir scan finds the lines that ripgrep finds, on the headers and the documentation of the system."""

import bz2
import gzip
import lzma
import pathlib
import shutil
import subprocess

import pytest

import ripgrep
from conftest import LIMIT
from ripgrep import matches, path_of

INCLUDE, DOC = "/usr/include", "/usr/share/doc"

# Options of both.
PATTERNS = [
    ["-e", "strdup"],
    ["-w", "-e", "str"],
    ["-w", "--ignore-case", "-e", "mutex", "-e", "futex"],
    ["-x", "-e", "#else"],
    ["-x", "-F", "-e", "#else /* !__cplusplus */", "-e", "#endif"],
    ["-F", "-e", "a[i]", "-e", "->x"],
    ["-S", "-e", "mutex_lock"],
    ["-S", "-e", "Mutex"],
    ["-v", "-e", "[A-Za-z;{}*/#() ]", "-e", "^$"],
    ["-e", r"\p{Lu}\p{Ll}+ß|é|µ"],
    ["-e", "[0-9]{9,}"],
    ["-e", r"^#\s*define\s+[A-Z]+_MAX\s"],
    ["-e", r"\b(foo|bar|baz)\b"],
    ["-e", r"(?P<name>[a-z_]+)_init\s*\("],
    ["-e", r"\bunion\s+(\w+)\s*\{$"],
    ["--ignore-case", "-e", "ä|É"],
    ["-e", r"u?int(8|16|32|64)_t\s+\w+\["],
    ["-e", ".{400,}"],
    ["-e", r'^\S+\s+"[^"\\]*(\\.[^"\\]*)*"$'],
    ["--no-unicode", "-e", r"[^\x00-\x7f]\W"],
    ["-w", "-v", "-x", "-e", r".*[\s\S].*", "-e", ""],
    ["-e", "no such text in any header of this system"],
]

# The documentation holds many words of many languages.
DOC_PATTERNS = [
    ["-e", r"(?i)copyright\s+\(c\)\s+20[0-2][0-9]"],
    ["-w", "-e", "bugs"],
    ["-e", r"\p{Greek}|\p{Cyrillic}{4}"],
    ["-F", "-e", "Closes: #1"],
    ["-e", r"https://[a-z.]+/\w+$"],
    ["-v", "-e", r"[\p{L}\p{N}\s=-]", "-e", "^$"],
    ["--ignore-case", "-e", "ÉTÉ|straße|naïve"],
    ["-x", "-e", r" -- .*> +\w{3}, 0\d .*"],
]


def names(args):
    return " ".join(args)


def unpacked(path):
    """What a file holds once it is unpacked; None if that is not known here."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:3] == b"BZh":
        return bz2.decompress(data)
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(data)
    return data


def with_nul(folder, read):
    """The paths of its files that are not text."""
    return {str(path).encode() for path in pathlib.Path(folder).rglob("*")
            if path.is_file() and not path.is_symlink() and b"\0" in read(path)}


@pytest.fixture(scope="module")
def binary():
    """Where something is not text, as it lies there, and unpacked."""
    return {"packed": with_nul(INCLUDE, pathlib.Path.read_bytes) |
                      with_nul(DOC, pathlib.Path.read_bytes),
            "unpacked": with_nul(DOC, unpacked)}


def agree(done, wanted, binary):
    """Line by line. Of a file that turns out to be binary, ripgrep says what it has found so far,
    and weir that, too, or nothing; neither is compared."""
    assert done.returncode in (0, 1), done.log
    assert {path_of(row) for row in done.rows if row.get("error") is not None} <= binary, done.log
    assert [found for found in matches(done) if found[0] not in binary] == [
        found for found in wanted if found[0] not in binary]


def spare(sanitized, patterns, args):
    """A sanitizer finds in a few patterns what it would find in all, and takes its time."""
    if sanitized and patterns.index(args) % 4:
        pytest.skip("compared without a sanitizer")


@pytest.mark.parametrize("args", PATTERNS, ids=names)
def test_headers(weir, binary, sanitized, args):
    spare(sanitized, PATTERNS, args)
    agree(weir("scan", *args, INCLUDE), ripgrep.lines(*args, INCLUDE), binary["packed"])


@pytest.mark.parametrize("args", DOC_PATTERNS, ids=names)
def test_documentation_as_it_lies_there(weir, binary, sanitized, args):
    spare(sanitized, DOC_PATTERNS, args)
    agree(weir("scan", "--no-decompress", *args, DOC), ripgrep.lines(*args, DOC),
          binary["packed"])


@pytest.mark.parametrize("args", DOC_PATTERNS[:5], ids=names)
def test_documentation_unpacked(weir, binary, sanitized, args):
    spare(sanitized, DOC_PATTERNS, args)
    agree(weir("scan", *args, DOC), ripgrep.lines("-z", *args, DOC), binary["unpacked"])


@pytest.mark.parametrize("args", [["-e", "include"], ["-v", "-w", "-e", "int"], ["-F", "-e", "("]],
                         ids=names)
def test_counts_and_lists(weir, binary, args):
    done = weir("scan", "-c", *args, INCLUDE)
    counts = {path_of(row): row["count"] for row in done.rows}
    wanted = ripgrep.counts(*args, INCLUDE)
    assert done.returncode == 0 and len(counts) > 1000
    for path in binary["packed"]:
        counts.pop(path, None)
        wanted.pop(path, None)
    assert counts == wanted
    for option in ["-l", "--files-without-match"]:
        done = weir("scan", option, *args, INCLUDE)
        assert set(map(path_of, done.rows)) - binary["packed"] == set(
            ripgrep.paths(option, *args, INCLUDE)) - binary["packed"]


TEXTS = {
    "empty": b"", "one": b"\n", "no-end": b"abc\nabc", "crlf": b"abc\r\nxyz\r\nabc",
    "spaces": b"  \n\t\n \n", "latin": b"caf\xe9 abc\n\xff\xfe\xfd\nabc\xe9\n",
    "unicode": "ÄÖÜ äöü\nстраница\n漢字 abc\nß\n\u2028x\n".encode(), "long": b"x" * 300_000 + b"abc\n",
    "control": b"\x1b[31mabc\x07\n\x7f\x80\n", "dots": b"a.c\nabc\na\nc\n",
    "edge": b"y" * 65_535 + b"\nabc\n" + b"z" * 65_536 + b"abc\nabc\n",
}


@pytest.mark.parametrize("args", [
    ["-e", "abc"], ["-e", ""], ["-e", "^"], ["-e", "$"], ["-e", "^$"], ["-e", "."], ["-x", "-e", ""],
    ["-v", "-e", "."], ["-v", "-e", ""], ["-e", r"\w"], ["-e", r"\s"], ["-e", r"\W\w"],
    ["-w", "-e", "abc"], ["-w", "-e", ".c"], ["-x", "-e", "a.c"], ["-x", "-F", "-e", "a.c"],
    ["-F", "-e", ""], ["--ignore-case", "-e", "äÖü"], ["-S", "-e", "äöü"], ["-S", "-e", "Äöü"],
    ["--no-unicode", "--ignore-case", "-e", "äÖü"], ["--no-unicode", "-e", r"\w{3}\W"],
    ["-e", r"\p{Cyrillic}+"], ["-e", r"\p{Han}"], ["-e", r"\x{df}"], ["-e", "abc\r"], ["-e", "c$"],
    ["-w", "-e", "ß"], ["-e", "xabc$"], ["-e", "^z+abc"], ["-e", "y{3}$"], ["-e", "a|"],
    ["-e", "[^a]"], ["-v", "-x", "-e", "abc", "-e", "xyz"],
], ids=names)
def test_odd_texts(weir, tmp_path, args):
    for name, text in TEXTS.items():
        (tmp_path / name).write_bytes(text)
    done = weir("scan", *args, cwd=tmp_path)
    assert matches(done) == ripgrep.lines(*args, cwd=tmp_path), done.log
    assert done.returncode == 0


def test_all_lines_without_a_pattern(weir, tmp_path):
    for name, text in TEXTS.items():
        (tmp_path / name).write_bytes(text)
    assert matches(weir("scan", cwd=tmp_path)) == ripgrep.lines("", cwd=tmp_path)


def test_named_groups_are_columns(weir, tmp_path):
    (tmp_path / "f").write_text("GET /a 200\nPUT /é\nnothing\n")
    done = weir("scan", "-e", r"(?<verb>[A-Z]+) (?<where>/\S*)( (?<code>\d+))?", "-e",
                "(?P<other>noth)", tmp_path / "f")
    rows = [{name: row.get(name) for name in ["line", "verb", "where", "code", "other"]}
            for row in done.rows]
    assert rows == [
        {"line": 1, "verb": "GET", "where": "/a", "code": "200", "other": None},
        {"line": 2, "verb": "PUT", "where": "/é", "code": None, "other": None},
        {"line": 3, "verb": None, "where": None, "code": None, "other": "noth"}]
    done = weir("scan", "-e", r"(?<code>\d+)", "--where", "code >= 200", "--select", "code,line",
                tmp_path / "f")
    assert done.stdout == b'{"code":"200","line":1}\n'


def test_patterns_of_a_file(weir, tmp_path):
    (tmp_path / "patterns").write_bytes(b"a[bc]\r\nx$\n")
    (tmp_path / "text").write_text("ab\nac\nad\nyx\n")
    args = ["-f", tmp_path / "patterns", "-e", "^ad"]
    done = weir("scan", *args, tmp_path / "text")
    assert [row["text"] for row in done.rows] == ["ab", "ac", "ad", "yx"]
    done = weir("scan", "-f", "-", tmp_path / "text", input="^y\n")
    assert [row["text"] for row in done.rows] == ["yx"]
    (tmp_path / "patterns").write_bytes(b"ab\n\n")  # the empty one matches all
    assert len(weir("scan", "-f", tmp_path / "patterns", tmp_path / "text").rows) == 4


@pytest.mark.parametrize("args,words", [
    (["-e", "a("], ["a(", "column"]), (["-e", "["], ["["]), (["-e", "(?<a>x"], ["(?<a>x"]),
    (["-e", r"\p{Nonsense}"], ["Nonsense"]), (["-e", "fine", "-e", "a)"], ["pattern 2", "a)"]),
])
def test_patterns_that_are_none(weir, tmp_path, args, words):
    done = weir("scan", *args, tmp_path)
    assert done.returncode == 2 and done.stdout == b"" and done.log.count("\n") == 1
    for word in words:
        assert word in done.log


ARCHIVES = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
            "zst": lambda data: subprocess.run(["zstd", "-qc"], input=data, check=True,
                                               stdout=subprocess.PIPE, timeout=LIMIT).stdout}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_by_content_and_cut_short(weir, tmp_path, kind):
    if kind == "zst" and not shutil.which("zstd"):
        pytest.fail("zstd is not installed: run scripts/deps.sh")
    lines = [f"line {number} {number * 7919 % 10_007:x}" for number in range(100_000)]
    data = ARCHIVES[kind]("".join(line + "\n" for line in lines).encode())
    (tmp_path / f"named.{kind}").write_bytes(data)
    (tmp_path / "unnamed").write_bytes(data)
    for name in [f"named.{kind}", "unnamed"]:
        done = weir("scan", "-e", " 1[0-9]*7 ", tmp_path / name)
        assert done.returncode == 0
        assert [(row["line"], row["text"]) for row in done.rows] == [
            (n + 1, line) for n, line in enumerate(lines) if str(n)[0] == "1" and n % 10 == 7 and n > 9]
    (tmp_path / "cut").write_bytes(data[:-len(data) // 4])
    done = weir("scan", tmp_path / "cut")
    *rows, last = done.rows
    assert done.returncode == 1 and "1 failed" in done.log
    assert [row["text"] for row in rows] == lines[:len(rows)]  # all whole, as far as they go
    assert last["error"] and path_of(last) == str(tmp_path / "cut").encode()
    assert last.get("text") is None and (len(rows) > 10_000 or kind == "bz2")
    done = weir("scan", "-c", tmp_path / "cut", tmp_path / "unnamed")
    assert [(row.get("count"), row.get("error") is None) for row in done.rows] == [
        (None, False), (100_000, True)]
    done = weir("scan", "--no-decompress", "-e", "line", tmp_path / "unnamed")
    assert done.returncode == 0 and done.rows == []


def test_binary_files_are_passed_over_and_counted(weir, tmp_path):
    (tmp_path / "binary").write_bytes(b"word\0word\nword\n")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"word\0\n"))
    (tmp_path / "text").write_bytes(b"a word\n")
    done = weir("scan", "-e", "word", cwd=tmp_path)
    assert done.returncode == 0 and [row["path"] for row in done.rows] == ["text"]
    assert "2 files" in done.log and "binary" in done.log and "3 files, all ok" in done.log
    done = weir("scan", "-a", "-e", "word", cwd=tmp_path)
    assert matches(done) == [(b"binary", 1, b"word\0word"), (b"binary", 2, b"word"),
                             (b"packed.gz", 1, b"word\0"), (b"text", 1, b"a word")]
    assert "binary" not in done.log
    for args, paths in [(["-l"], ["text"]), (["-c"], ["text"]), (["-a", "-l"],
                                                                 ["binary", "packed.gz", "text"])]:
        done = weir("scan", *args, "-e", "word", cwd=tmp_path)
        assert sorted(row["path"] for row in done.rows) == paths


def test_a_binary_file_is_none_of_too_long_lines(weir, tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(3_000_000))
    (tmp_path / "late").write_bytes(b"x" * 300_000 + bytes(3_000_000))
    done = weir("scan", "--max-row", "1M", "-e", "x", cwd=tmp_path)
    assert (done.returncode, done.rows) == (0, []), done.log
    assert "2 files not searched, being binary" in done.log and "2 files, all ok" in done.log


def test_a_file_that_turns_out_to_be_binary_says_so(weir, tmp_path):
    (tmp_path / "late").write_bytes(b"word\n" * 500_000 + b"\0\n" + b"word\n")
    done = weir("scan", "-e", "word", tmp_path / "late")
    *rows, last = done.rows
    assert done.returncode == 1 and 0 < len(rows) <= 500_000 and "binary" in last["error"]
    assert {row["text"] for row in rows} == {"word"}


def test_a_line_that_is_too_long(weir, tmp_path):
    (tmp_path / "f").write_bytes(b"a\n" + b"b" * 5000 + b"\nc\n")
    assert len(weir("scan", tmp_path / "f").rows) == 3
    done = weir("scan", "--max-row", "4K", tmp_path / "f")
    assert done.returncode == 1 and "--max-row" in done.rows[-1]["error"]
    assert done.rows[0]["text"] == "a"


def test_a_pattern_that_takes_too_many_steps_is_a_failure_of_its_file(weir, tmp_path):
    (tmp_path / "evil").write_text("a" * 60 + "b c\n")
    (tmp_path / "fine").write_text("aaac\n")
    done = weir("scan", "-e", "^(a+)+(a+)+(a+)+c", "--sort", "path", cwd=tmp_path)
    assert done.returncode == 1, done.log
    assert [row["path"] for row in done.rows] == ["evil", "fine"]
    assert "more steps" in done.rows[0]["error"] and done.rows[1]["text"] == "aaac"
