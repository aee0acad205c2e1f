"""The checks find what they are there to find: each is shown a breach."""

import json
import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).parents[2]))
PYTHON = "/usr/bin/python3"


def run(script, *args, **options):
    command = [PYTHON] if script.endswith(".py") else []
    return subprocess.run([*command, str(SOURCE / "scripts" / script), *map(str, args)],
                          capture_output=True, text=True, check=False, **options)


@pytest.fixture
def tree(tmp_path):
    """A small project in good order."""
    files = {
        "include/weir/version.h": "const char *weir_version(void);\n",
        "src/base/buf.h": "#include <stddef.h>\n",
        "src/core/loop.h": '#include "buf.h"\n',
        "src/table/batch.h": '#include "buf.h"\n#include "weir/version.h"\n',
        "src/job/job.c": '#include "batch.h"\n#include "loop.h"\n',
        "src/core/loop_test.c": '#include "loop.h"\n#include "loop_testing.h"\n#include "test.h"\n',
        "src/core/loop_testing.h": '#include "test.h"\n',
        "tests/test.h": "#include <stdio.h>\n",
        "cli/help.h": "",
        "cli/help_test.c": '#include "help.h"\n#include "test.h"\n',
        "cli/main.c": '#include "help.h"\n#include "weir/version.h"\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_tree_in_order_passes(tree):
    done = run("check-layers.py", tree)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name,line", [
    ("src/base/buf.h", '#include "loop.h"'),
    ("src/core/loop.h", '#include "batch.h"'),
    ("src/table/batch.h", '#  include "loop.h"'),
    ("src/core/loop.h", '#include "../base/buf.h"'),
    ("src/core/loop.h", '#include "test.h"'),
    ("src/core/loop.h", '#include "loop_testing.h"'),
    ("src/core/loop.h", '#include "nowhere.h"'),
    ("src/core/loop.h", '#include "weir/nowhere.h"'),
    ("src/core/loop.h", "#include <curl/curl.h>"),
    ("src/job/job.c", "#include <curl/curl.h>"),
    ("src/base/buf.h", "#include <pthread.h>"),
    ("cli/main.c", '#include "buf.h"'),
    ("include/weir/version.h", '#include "buf.h"'),
    ("src/core/loop.h", "#include SOME_HEADER"),
])
def test_an_arrow_back_is_named(tree, name, line):
    path = tree / name
    path.write_text("\n" + line + "\n" + path.read_text())
    done = run("check-layers.py", tree)
    assert done.returncode != 0
    assert f"{name}:2: " in done.stderr


def test_a_header_name_in_two_layers_is_named(tree):
    (tree / "src/table/buf.h").write_text("")
    done = run("check-layers.py", tree)
    assert done.returncode != 0 and "src/table/buf.h:1: " in done.stderr


def library(tree, text):
    """The text as libweir.so and libweir.a."""
    source, so, obj, archive = (tree / name for name in ["w.c", "w.so", "w.o", "w.a"])
    source.write_text(text)
    for command in (["cc", "-shared", "-fPIC", "-o", so, source], ["cc", "-c", "-o", obj, source],
                    ["ar", "rc", archive, obj]):
        subprocess.run(command, check=True)
    return so, archive


@pytest.mark.parametrize("text,complaint", [
    ("void weir_version(void) {}", ""),
    ("void weir_other(void) {}", "declared in include/weir, not exported"),
    ("void weir_version(void) {} void weir_other(void) {}", "exported, not declared"),
    ("void weir_version(void) {} int other;", "neither weir_ nor wi_"),
])
def test_a_wrong_symbol_is_named(tree, text, complaint):
    done = run("check-symbols.sh", tree, *library(tree, text), cwd=tree)
    assert (done.returncode == 0) == (complaint == "")
    assert complaint in done.stderr


def entry(stdout="", result="OK", command=("a_test",)):
    return {"name": "a", "stdout": stdout, "result": result, "command": list(command)}


PYTEST = ("python3", "-m", "pytest")


@pytest.mark.parametrize("tests,line,code", [
    ([], "0 passed, 0 failed, 0 skipped", 1),
    ([entry()], "1 passed, 0 failed, 0 skipped", 0),
    ([entry(result="TIMEOUT")], "0 passed, 1 failed, 0 skipped", 1),
    ([entry(result="SKIP")], "0 passed, 0 failed, 1 skipped", 1),
    ([entry("TAP version 13\n1..3\nok 1 - a\n# ok\nok 2 - b # SKIP not here\nnot ok 3 - c\n",
            "FAIL")], "1 passed, 1 failed, 1 skipped", 1),
    ([entry("TAP version 13\n1..2\nok 1 - a\n", "ERROR")], "1 passed, 1 failed, 0 skipped", 1),
    ([entry("...\n3 passed in 1.20s\n", "OK", PYTEST)], "3 passed, 0 failed, 0 skipped", 0),
    ([entry("1 failed, 10 passed, 2 skipped, 1 error in 75.20s (0:01:15)\n", "FAIL", PYTEST)],
     "10 passed, 2 failed, 2 skipped", 1),
    ([entry("=== 4 passed, 1 warning in 0.01s ===\n", "OK", PYTEST), entry()],
     "5 passed, 0 failed, 0 skipped", 0),
    ([entry("no tests ran in 0.01s\n", "FAIL", PYTEST)], "0 passed, 1 failed, 0 skipped", 1),
])
def test_tests_are_counted(tmp_path, tests, line, code):
    log = tmp_path / "testlog.json"
    log.write_text("".join(json.dumps(test) + "\n" for test in tests))
    done = run("count-tests.py", log)
    assert (done.stdout.strip(), done.returncode) == (line, code)


def test_a_promise_without_a_test_is_named(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests" / "system").mkdir(parents=True)
    (tmp_path / "tests" / "system" / "test_security.py").write_text(
        "def test_named(): pass\ndef test_forgotten(): pass\n")
    doc = tmp_path / "docs" / "security.md"
    head = "| from outside | proved by |\n|---|---|\n"
    good = "| a | `test_security.py::test_named`, `test_security.py::test_forgotten` |\n"
    doc.write_text(head + good)
    done = run("check-security.py", tmp_path)
    assert done.returncode == 0, done.stderr
    doc.write_text(head + good + "| b | hope |\n| c | `test_security.py::test_gone` |\n"
                   "| d | `none_test.c::gone` |\n")
    done = run("check-security.py", tmp_path)
    assert done.returncode == 1
    for word in ["line 4: no test", "no test test_gone", "no none_test.c"]:
        assert word in done.stderr
    doc.write_text(head + "| a | `test_security.py::test_named` |\n")
    assert "test_forgotten is not named" in run("check-security.py", tmp_path).stderr


def test_a_lost_protection_is_named(tmp_path):
    source = tmp_path / "w.c"
    source.write_text("int main(void) { return 0; }\n")
    plain = ["cc", "-fcf-protection=none", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "w.c"]
    lax = ["-Wl,-z,execstack,-z,norelro,-z,lazy,-z,noseparate-code,-rpath,/tmp"]
    for command in ([*plain, "-no-pie", *lax, "-o", "weir"],
                    [*plain, "-fPIC", "-shared", *lax, "-o", "w.so"],
                    [*plain, "-c", "-o", "w.o"], ["ar", "rc", "w.a", "w.o"]):
        subprocess.run(command, cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    (tmp_path / "compile_commands.json").write_text('"command": "cc -c ../src/base/a.c"\n')
    done = run("check-hardening.sh", tmp_path, *(tmp_path / name for name in ["weir", "w.so", "w.a"]))
    assert done.returncode == 1
    for word in ["loaded anywhere", "relocations are read-only", "bound at the beginning",
                 "weir: no stack is executable", "w.so: no stack is executable", "pages of its own",
                 "from where the system has them", "canaries", "know their bounds",
                 "position-independent", "marked places", "FORTIFY_SOURCE=3", "clash"]:
        assert word in done.stderr, word
