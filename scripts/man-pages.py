#!/usr/bin/env python3
"""Writes a man(3) page for every public function, from the headers, which so document it once.

Usage: man-pages.py FOLDER DATE HEADER...      DATE: a manual page whose .Dd line is taken over

Functions that share a comment, and those whose comment begins with "The same", share a page; the
others' names become pages that point to it. A page holds the signatures, the comments, the
definitions of the types in the signatures, and what the header says at its top. A function without
a comment is an error: that is how none is left without a page.
"""

import pathlib
import re
import shutil
import sys
import textwrap

ITEM = re.compile(
    r"""(?P<comment>/\*.*?\*/)
      | (?P<macro>^\#[ ]*define[ ](?:[^\n]*\\\n)*[^\n]*)
      | (?P<other>^\#[^\n]*|^extern[ ]"C"[ ]\{|^\}$)
      | (?P<type>^typedef\b[^;{]*(?:\{[^}]*\})?[^;]*;)
      | (?P<function>^\w[^;{}]*\([^;{}]*\);)
      | (?P<blank>\n[ \t]*\n)""",
    re.S | re.M | re.X,
)
COMMON = {"weir_status", "weir_error"}  # libweir(3) explains them
FOLLOWS = ("The same", "Waits likewise")


class Item:
    """A function, type or macro with the comment that stands directly above it."""

    def __init__(self, header, text, comment):
        self.header, self.text, self.comment = header, text.strip(), comment
        found = re.search(r"(\w+)\s*\(", self.text)
        self.name = found[1] if found else None


class Page:
    """What is documented jointly: [(comment, [function...])...]."""

    def __init__(self, header):
        self.header, self.parts = header, []

    @property
    def functions(self):
        return [function for _, functions in self.parts for function in functions]


class Manual:
    def __init__(self, headers):
        self.pages, self.types, self.macros, self.openings, self.faults = [], {}, {}, {}, []
        for header in headers:
            self.read(header)
        self.page_of = {f.name: page for page in self.pages for f in page.functions}

    def read(self, path):
        header, comment, last, page = path.name, None, None, None
        for found in ITEM.finditer(path.read_text(encoding="utf-8")):
            kind, text = found.lastgroup, found[0]
            if kind == "comment":
                if header not in self.openings:
                    self.openings[header] = paragraphs(text)
                elif not re.match(r"/\* -{2,}", text):
                    comment, last = text, None
            elif kind == "blank":
                comment = last = None
            elif kind == "macro":
                name = re.match(r"# *define (\w+)", text)[1]
                self.macros.setdefault(name, Item(header, text, comment))
                comment = None
            elif kind == "type":
                name = re.search(r"\(\*(\w+)\)\(|(\w+);$", re.sub(r"\{.*\}", "", text, flags=re.S))
                if not re.fullmatch(r"typedef struct (\w+) \1;", text):  # that one is opaque
                    self.types[name[1] or name[2]] = Item(header, text, comment)
                comment = last = None
            elif kind == "function":
                function = Item(header, text, comment)
                if last is not None:
                    page.parts[-1][1].append(function)
                elif comment is None:
                    self.faults.append(f"{path}: {function.name} has no comment")
                    continue
                else:
                    said = paragraphs(comment)
                    if page is None or not said[0].startswith(FOLLOWS):
                        page = Page(header)
                        self.pages.append(page)
                    page.parts.append((said, [function]))
                comment, last = None, function

    def definitions(self, page):
        """The types and macros that the page's signatures speak of, each once, outermost first."""
        found, seen = [], set(COMMON) if page.header != "error.h" else set()
        queue = [f.text for f in page.functions]
        while queue:
            code = re.sub(r"/\*.*?\*/", "", queue.pop(0), flags=re.S)
            for word in re.findall(r"\b(?:weir|WEIR)_\w+", code):
                if word in seen or word not in self.types | self.macros:
                    continue
                seen.add(word)
                item = self.types.get(word) or self.macros[word]
                found.append((word, item))
                if item.header == page.header:
                    queue.append(item.text)
                belonging = re.compile(rf"{word.upper()}(_[A-Z]+)?$") if word in self.types else None
                for name, macro in self.macros.items():
                    if belonging and belonging.match(name) and name not in seen:
                        seen.add(name)
                        found.append((name, macro))
        return found

    def home(self, word, header):
        """The page of that header which describes the type."""
        for page in self.pages:
            if page.header == header and word in [name for name, _ in self.definitions(page)]:
                return page.functions[0].name
        return "libweir"

    def siblings(self, page):
        return [other.functions[0].name for other in self.pages
                if other.header == page.header and other is not page]


def paragraphs(comment):
    """The text of a comment: a paragraph each; code, which is indented, and lists keep their lines."""
    text = re.sub(r"^/\*+|\*+/$", "", comment.strip())
    lines = [re.sub(r"^ *\* ?", "", line).rstrip() for line in text.strip("\n").split("\n")]
    lines[0] = lines[0].strip()
    parts = [part.strip("\n") for part in re.split(r"\n\s*\n", "\n".join(lines).strip())]
    return [part if part.startswith(("    ", "- ")) else " ".join(part.split()) for part in parts if part]


# mdoc


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)


def literal(text):
    return f".Bd -literal -offset indent\n{escape(text)}\n.Ed"


def prose(text, known):
    """Running text: a sentence a line, names in bold, quotation marks of macros kept apart."""
    text = re.sub(r"(?<!e\.g)(?<!i\.e)([\w)'\"][.]|[a-z][.]\)) (?! )", r"\1\n", " ".join(text.split()))
    text = escape(text)
    return re.sub(r"\bweir_\w+\b|\bWEIR_[A-Z]\w*\b",
                  lambda m: f"\\fB{m[0]}\\fR" if m[0] in known or m[0].isupper() else m[0], text)


def body(parts, known):
    out = []
    for part in parts:
        out += [".Pp"] if out else []
        if part.startswith("    "):
            out.append(literal(textwrap.dedent(part)))
        elif part.startswith("- "):
            points = [prose(point, known) for point in re.split(r"^- ", part, flags=re.M)[1:]]
            out += [".Bl -dash -compact", *[f".It\n{point}" for point in points], ".El"]
        else:
            out.append(prose(part, known))
    return out


def members(text):
    """The fields of a struct or the constants of an enum: (heading, declaration, comment)..."""
    block = text[text.index("{") + 1:text.rindex("}")].strip()
    out, before, heading, end = [], None, None, None
    ends = "," if text.startswith("typedef enum") else ";"
    found = re.compile(rf"/\*.*?\*/|(?:[^{ends}/(]|\([^)]*\))+(?:{ends}|$|(?=/\*))", re.S).finditer(block)
    for part in found:
        if not part[0].strip():
            continue
        gap = block[end:part.start()] if end is not None else "\n"
        end = part.end()
        if not part[0].lstrip().startswith("/*"):
            code = " ".join(part[0].strip().rstrip(ends).split())
            out.append([heading, re.sub(r"\* (?=\w+$)", "*", code), before])
            before = heading = None
        elif out and "\n" not in gap:
            out[-1][2] = part[0]
        elif "\n" in part[0]:
            before = part[0]
        else:
            heading = part[0]
    return out


def table(name, item, known):
    """A struct's fields or an enum's constants, each with what is said of it."""
    is_enum = item.text.startswith("typedef enum")
    out = [f"\\fB{name}\\fR is " + ("one of:" if is_enum else "a structure of:")]
    listed = False
    for heading, code, comment in members(item.text):
        if heading:
            out += [".El"] if listed else []
            out += [".Pp", prose("; ".join(paragraphs(heading)) + ":", known)]
            listed = False
        if not listed:
            out += [".Bl -tag -width 4n -compact"]
            listed = True
        out += [f'.It {"Dv" if is_enum else "Vt"} "{escape(code)}"']
        if comment:
            out += [prose(part, known) for part in paragraphs(comment)]
    return out + [".El"]


def describe(name, item, known):
    """A type or macro in a page."""
    out = body(paragraphs(item.comment), known) if item.comment else []
    if "{" in item.text and re.match(r"typedef (struct|enum)", item.text) and "#" not in item.text:
        return out + ([".Pp"] if out else []) + table(name, item, known)
    text = item.text
    if name.endswith("_OPTIONS_INIT"):
        return [f"A structure begins as \\fB{name}\\fR."]
    if text.startswith("#") and "(X)" not in text:
        text = re.match(r"# *define (\w+(\([^)]*\))?)", text)[0]
    return out + [literal(text)]


def one_line(said):
    """What apropos(1) shows: the first sentence, without its end."""
    if said.startswith("WEIR_") or said[0].isdigit():
        text = said
    else:
        text = said[0].lower() + said[1:] if not said[:2].isupper() else said
    return escape(re.match(r"(?:\([^)]*\)|(?!, which )[^.:;]|[.:;](?! |$))*", text)[0])


def signature(function):
    result, name, arguments = re.match(r"(.*?)\b(\w+)\s*\((.*)\);$", function.text, re.S).groups()
    out = [f".Ft {escape(' '.join(result.split()))}", f".Fo {name}"]
    out += [f'.Fa "{escape(" ".join(a.split()))}"' for a in split_arguments(arguments)]
    return out + [".Fc"]


def split_arguments(text):
    """At the commas that stand in no parentheses."""
    depth, start = 0, 0
    for at, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def write_page(manual, page, date):
    known = set(manual.page_of) | set(manual.types)
    names = [f.name for f in page.functions]
    out = [f".Dd {date}", f".Dt {names[0].upper()} 3", ".Os", ".Sh NAME"]
    out += [f".Nm {name} ," for name in names[:-1]] + [f".Nm {names[-1]}"]
    out += [f".Nd {one_line(page.parts[0][0][0])}"]
    out += [".Sh LIBRARY", "libweir, see", ".Xr libweir 3 .", ".Sh SYNOPSIS", ".In weir/" + page.header]
    for function in page.functions:
        out += signature(function)
    out += [".Sh DESCRIPTION"]
    for number, (said, functions) in enumerate(page.parts):
        if number or len(page.parts) > 1 or len(functions) > 1:
            out += [".Ss " + ", ".join(f.name for f in functions)]
        out += body(said, known)
    own = [(name, item) for name, item in manual.definitions(page) if item.header == page.header]
    foreign = {}
    for name, item in manual.definitions(page):
        if item.header != page.header and name in manual.types:
            foreign.setdefault(manual.home(name, item.header), []).append(name)
    if own or foreign:
        out += [".Ss Types"]
    for number, (name, item) in enumerate(own):
        out += ([".Pp"] if number else []) + describe(name, item, known)
    for number, (home, names) in enumerate(foreign.items()):
        out += [".Pp"] if own or number else []
        names = [f"\\fB{name}\\fR" for name in names]
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
        out += [f"{listed}: see", f".Xr {home} 3 ."]
    opening = manual.openings[page.header][:]
    first = opening[0].partition(": ")[2]
    opening[0] = first[0].upper() + first[1:]
    out += [f".Ss About {escape('weir/' + page.header)}", *body(opening, known)]
    if any(f.text.startswith("weir_status ") for f in page.functions):
        out += [".Sh RETURN VALUES", "Where a", ".Vt weir_status", "is returned, it is",
                ".Dv WEIR_OK", "on success.", "On failure", ".Fa err", "is filled, unless it is",
                ".Dv NULL ,", "and what other arguments point to is left as it was."]
    see = sorted(manual.siblings(page)) + ["libweir"]
    see.sort()
    out += [".Sh SEE ALSO"] + [f".Xr {name} 3 ," for name in see[:-1]] + [f".Xr {see[-1]} 3"]
    return "\n".join(out).replace("\n.Pp\n.Bd", "\n.Bd").replace("\n.Pp\n.Bl -dash", "\n.Bl -dash") + "\n"


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    folder, dated = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    date = re.search(r"^\.Dd (.*)$", dated.read_text(encoding="utf-8"), re.M)[1]
    manual = Manual(sorted(pathlib.Path(name) for name in sys.argv[3:]))
    if manual.faults:
        sys.exit("man-pages: " + "\n".join(manual.faults))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for page in manual.pages:
        first, *others = [f.name for f in page.functions]
        (folder / f"{first}.3").write_text(write_page(manual, page, date), encoding="utf-8")
        for name in others:
            (folder / f"{name}.3").write_text(f".so man3/{first}.3\n", encoding="utf-8")


if __name__ == "__main__":
    main()
