"""`make install` in full: into an empty folder, then programs built against what is there."""

import ctypes
import os
import pathlib
import re
import shlex
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).parents[2]))
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", SOURCE / "build"))
PROGRAM = SOURCE / "tests" / "system" / "install_program.c"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """The folder below which everything was installed."""
    dest = tmp_path_factory.mktemp("dest")
    meson = "/usr/bin/meson" if os.path.exists("/usr/bin/meson") else "meson"
    run(meson, "install", "-C", str(BUILD), "--no-rebuild", "--destdir", str(dest))
    return dest


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def find(stage, name):
    found = sorted(stage.rglob(name))
    assert found, f"{name} was not installed"
    return found[0]


def pkg_config(stage, *options):
    env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(stage),
               PKG_CONFIG_LIBDIR=":".join([str(find(stage, "weir.pc").parent),
                                           "/usr/lib/x86_64-linux-gnu/pkgconfig",
                                           "/usr/lib/aarch64-linux-gnu/pkgconfig",
                                           "/usr/lib/pkgconfig", "/usr/share/pkgconfig"]))
    return run("pkg-config", *options, "weir", env=env).split()


COMPILERS = [("cc", ["-std=c99"]), ("c++", ["-std=c++11"])]


@pytest.mark.parametrize("compiler,options", COMPILERS, ids=["C", "C++"])
@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_a_program_builds_and_runs(stage, tmp_path, compiler, options, static):
    flags = pkg_config(stage, "--cflags")
    libs = pkg_config(stage, "--libs", *(["--static"] if static else []))
    if static:  # libweir itself from its archive, what it needs from the system
        libs = [str(find(stage, "libweir.a")) if flag == "-lweir" else flag for flag in libs]
    language = "c" if compiler == "cc" else "c++"
    program = tmp_path / "program"
    run(compiler, "-pedantic-errors", "-Wall", "-Wextra", "-Werror", *options, "-x", language,
        str(PROGRAM), "-x", "none", "-o", str(program), *flags, *libs)
    needed = run("readelf", "-d", str(program))
    assert ("libweir.so" in needed) == (not static)
    env = dict(os.environ, LD_LIBRARY_PATH=str(find(stage, "libweir.so").parent))
    said = run(str(program), env=env).strip()
    assert said == pkg_config(stage, "--modversion")[0]


class Options(ctypes.Structure):
    """weir_executor_options as far as it is needed: a shorter one is an older one."""

    _fields_ = [("size", ctypes.c_size_t), ("kind", ctypes.c_int), ("max_workers", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("sys_errno", ctypes.c_int), ("text", ctypes.c_char * 512)]


def test_a_program_that_opens_the_library_gets_no_processes(stage):
    """Executed anew, it would not become a worker: it would begin its own work a second time."""
    library = ctypes.CDLL(str(find(stage, "libweir.so").resolve()))
    processes = 3
    options = Options(size=ctypes.sizeof(Options), kind=processes)
    error = Error()
    executor = ctypes.c_void_p()
    assert library.weir_executor_new(ctypes.byref(options), ctypes.byref(executor),
                                     ctypes.byref(error))
    assert b"link the program to it" in error.text and not executor


def test_what_is_installed(stage):
    names = {path.name for path in stage.rglob("*") if not path.is_dir()}
    assert {"weir", "weir.pc", "libweir.a", "libweir.so"} <= names
    headers = {path.name for path in (SOURCE / "include" / "weir").glob("*.h")}
    assert {path.name for path in find(stage, "weir.h").parent.iterdir()} == headers


def test_nothing_points_into_the_build(stage):
    text = find(stage, "weir.pc").read_text()
    assert str(BUILD) not in text and str(SOURCE) not in text and str(stage) not in text


def test_the_installed_command_runs(stage):
    said = run(str(find(stage, "bin").joinpath("weir")), "--version")
    assert pkg_config(stage, "--modversion")[0] in said


def test_the_manual_is_installed(stage):
    names = {path.name for path in stage.rglob("*.[1-9]")}
    commands = {path.stem.removeprefix("cmd_") for path in (SOURCE / "cli").glob("cmd_*.c")}
    pages = {f"weir-{name}.1" for name in commands & {"fetch", "exec", "mock", "demo"}}  # the others need none
    assert {"weir.1", "libweir.3"} | pages <= names
    functions = run("nm", "-D", "--defined-only", str(find(stage, "libweir.so"))).split()
    functions = {re.sub("@.*", "", word) for word in functions if word.startswith("weir_")}
    assert len(functions) > 20 and {f"{name}.3" for name in functions} <= names
    completions = {path.name for path in (find(stage, "share")).rglob("*weir*") if path.is_file()}
    assert {"weir.bash", "_weir", "weir.fish"} <= completions


def test_each_page_of_a_function_describes_it(stage):
    folder = find(stage, "libweir.3").parent
    for page in folder.glob("weir_*.3"):
        text = page.read_text()
        if text.startswith(".so "):  # documented together with another
            text = (folder.parent / text.split()[1]).read_text()
        assert re.search(rf"^\.Nm {page.stem}\b", text, re.M), page.name
        assert f".Fo {page.stem}\n" in text, page.name
        assert re.search(r"^\.Sh DESCRIPTION\n\S", text, re.M), page.name
