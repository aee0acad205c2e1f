#!/usr/bin/env python3
"""Fails when an arrow runs back: when a file includes a header of a layer it may not know.

Usage: check-layers.py [PROJECT-FOLDER]

The rules are those of docs/architecture.md. Quoted includes name a file of our own by its plain
name, or a public header as "weir/noun.h"; what stands in angle brackets is somebody else's, and
some of it belongs to one layer only. Each breach is printed with its file and line.
"""

import pathlib
import re
import sys

LAYERS = {
    "base": {"base"},
    "core": {"base", "core"},
    "table": {"base", "table"},
    "io": {"base", "core", "io"},
    "job": {"base", "core", "table", "io", "job"},
}

# Folders outside the layers: they see the public headers and their own folder. Tests see all of it.
OUTSIDE = ["cli", "bench", "examples", "python"]

# Whose business a foreign header is: the first pattern that matches decides.
FOREIGN = [
    (re.compile(r"^curl/"), {"io", "bench"}, "only src/io knows the HTTP transport"),
    (re.compile(r"^(zlib|zstd|zstd_errors|lzma|bzlib|brotli/\w+)\.h$"), {"src", "io", "cli", "tests", "bench"}, "compression is the business of src/io and cli; bench makes data with it"),
    (re.compile(r"^xxhash\.h$"), {"base", "job"}, "hashing is the business of src/base and src/job"),
    (re.compile(r"^sqlite3\.h$"), {"job"}, "the journal is the business of src/job"),
    (re.compile(r"^openssl/"), {"base"}, "digests are the business of src/base"),
    (re.compile(r"^pcre2\.h$"), {"table", "tests"}, "regular expressions are the business of src/table"),
    (re.compile(r"^microhttpd\.h$"), {"cli"}, "the mock server is the business of cli"),
    (re.compile(r"^(pthread|threads|semaphore)\.h$"), {"core", "table", "io", "job", "cli", "bench",
                                                      "examples", "tests"},
     "src/base has no threads"),
    (re.compile(r"^(poll|sys/epoll|sys/socket|netdb)\.h$"), {"core", "io", "job", "cli", "bench",
                                                         "examples", "tests"},
     "src/base and src/table do no I/O"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>|(\S.*))')


def owners(root):
    """Maps each header's plain name to the folders that have one; two layers may not share a name.

    Sources stand in it too: a fuzzer may include one for the sake of what is static in it.
    """
    found, breaches = {}, []
    folders = {layer: root / "src" / layer for layer in LAYERS}
    folders.update({name: root / name for name in OUTSIDE})
    folders["tests"] = root / "tests"
    for folder, path in folders.items():
        for header in sorted(path.rglob("*.h")):
            others = found.setdefault(header.name, set())
            if others & set(LAYERS) and folder in LAYERS:
                breaches.append(f"{header.relative_to(root)}:1: {header.name} also exists in "
                                f"{min(others)}; a plain name must say which header is meant")
            others.add(folder)
        for source in path.rglob("*.c"):
            found.setdefault(source.name, set()).add(folder)
    return found, breaches


def is_test(name):
    """foo_test.c is a test, foo_testing.h what several tests share."""
    return re.search(r"_test(ing)?\.\w+$", name) is not None


def area_of(path, root):
    """The layer or folder that a file belongs to, and the folders whose headers it may include."""
    parts = path.relative_to(root).parts
    if parts[0] == "include":
        return "include", set()
    if parts[0] == "tests":
        return "tests", set(LAYERS) | {"tests", "cli"}
    tests = {"tests"} if is_test(path.name) else set()
    if parts[0] != "src":
        return parts[0], {parts[0]} | tests
    if len(parts) == 2:  # src/version.c and its like stand above the layers
        return "src", set(LAYERS) | tests
    return parts[1], LAYERS[parts[1]] | tests


def check_quoted(path, name, area, sees, root, headers):
    if is_test(name) and "tests" not in sees:
        return f"\"{name}\" is for tests only"
    if name.startswith("weir/"):
        if not (root / "include" / name).is_file():
            return f"there is no public header {name}"
        return None
    if area == "include":
        return f"public headers include each other as \"weir/noun.h\", not \"{name}\""
    if "/" in name:
        return f"\"{name}\": quoted includes are plain file names"
    owner = headers.get(name)
    if owner is None or (name.endswith(".c") and not path.name.startswith("fuzz_")):
        return f"\"{name}\" is no header of the project"
    if not owner & sees:
        allowed = ", ".join(sorted(sees - {"tests"}))
        return f"{area} may not know {min(owner)} (\"{name}\"); it sees {allowed} and weir/*.h"
    return None


def check_foreign(name, area, sees):
    for pattern, areas, why in FOREIGN:
        if pattern.match(name):
            return None if area in areas or "tests" in sees else f"<{name}>: {why}"
    if name.startswith("weir/") and area not in {"examples", "tests"}:
        return f"<{name}>: our own headers stand in quotes"
    return None


def check_file(path, root, headers):
    area, sees = area_of(path, root)
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, foreign, other = match.groups()
        if quoted:
            wrong = check_quoted(path, quoted, area, sees, root, headers)
        elif foreign:
            wrong = check_foreign(foreign, area, sees)
        else:
            wrong = f"an include that cannot be checked: {other}"
        if wrong:
            yield f"{path.relative_to(root)}:{number}: {wrong}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    headers, breaches = owners(root)
    files = []
    for folder in ["src", "include", "tests"] + OUTSIDE:
        files += sorted(p for p in (root / folder).rglob("*") if p.suffix in {".c", ".h", ".cc"})
    if not any(p.relative_to(root).parts[0] == "src" for p in files):
        sys.exit(f"check-layers: no sources under {root}/src")
    for path in files:
        breaches += check_file(path, root, headers)
    for breach in breaches:
        print(breach, file=sys.stderr)
    if breaches:
        sys.exit(f"check-layers: {len(breaches)} breaches in {len(files)} files")
    print(f"check-layers: {len(files)} files, no arrow runs back")


if __name__ == "__main__":
    main()
