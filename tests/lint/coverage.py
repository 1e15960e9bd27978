"""docs/coverage.md: which tests show which edge case (E-id) and rule (R-id).

    coverage.py            prints it
    coverage.py --write    writes docs/coverage.md

A test shows a case if its name carries the id: the name of a case of a Python test, the file name of a
scenario, the function of a C test. Files that speak of an id elsewhere are listed after those.
"""

import ast
import os
import re
import sys

from cases import CASES
from lint import SRC, files, text

ID = re.compile(r"\b([ER]-\d{3}[a-z]?|INV-\d)\b")
RANGE = re.compile(r"\bE-(\d{3})(?:\.\.|…| to )E-(\d{3})\b")
C_TEST = re.compile(r"\bcmocka_unit_test\w*\((\w+)")
C_ID = re.compile(r"(?:^|_)([er])_?(\d{3})(?=_|$)")


def tests():
    return [n for n in files(".c", ".h", ".py", ".scn", ".xml", under="tests")
            if not n.startswith("tests/lint/")]


def collect():
    """id -> sorted test files that mention it"""
    found = {}
    for name in tests():
        body = text(name)
        ids = set(ID.findall(body)) | set(ID.findall(os.path.basename(name)))
        for first, last in RANGE.findall(body):
            ids |= {f"E-{n:03}" for n in range(int(first), int(last) + 1)}
        for i in ids:
            found.setdefault(i, set()).add(name)
    return {i: sorted(names) for i, names in found.items()}


def words_of(node):
    """The text of a string, formatted or not; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(words_of(v) if isinstance(v, ast.Constant) else "..." for v in node.values)
    return ""


def names_in_python(body):
    for call in ast.walk(ast.parse(body)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args \
                and call.func.attr in ("case", "check"):
            yield words_of(call.args[0])


def names_in(name):
    """The names of the tests in a file, with the ids as they are written elsewhere."""
    if name.endswith(".scn"):
        return [os.path.basename(name)[:-len(".scn")]]
    if name.endswith(".py"):
        return [n for n in names_in_python(text(name)) if n]
    if name.endswith(".c"):
        return [C_ID.sub(lambda m: f" {m[1].upper()}-{m[2]} ", n).strip()
                for n in C_TEST.findall(text(name))]
    return []


def named():
    """id -> {file: names of its tests that carry the id}"""
    found = {}
    for file in files(".c", ".py", ".scn", under="tests"):
        for n in names_in(file):
            for i in set(ID.findall(n)):
                found.setdefault(i, {}).setdefault(file, []).append(n)
    return found


def unnamed():
    """Edge cases that no test's name carries."""
    have = named()
    return [i for i in CASES if i not in have]


def unknown():
    """Ids of edge cases that are in no list."""
    return [i for i in sorted(set(collect()) | set(named())) if i.startswith("E-")
            and i not in CASES]


def short(file):
    return file[len("tests/"):]


def cell(name):
    return name.replace("|", "\\|")


def entry(i, by_name, by_file):
    """What shows an id: tests by name, then the other files that speak of it."""
    out, scenarios = [], []
    for file, names in sorted(by_name.get(i, {}).items()):
        if file.endswith(".scn"):
            scenarios += names
        else:
            out += [f"- `{short(file)}`: {cell(n)}" for n in names]
    if scenarios:
        out.append("- `trace/scenarios`: " + ", ".join(scenarios))
    rest = [f"`{short(f)}`" for f in by_file.get(i, []) if f not in by_name.get(i, {})]
    if rest:
        out.append("- spoken of in " + ", ".join(rest))
    return out or ["- none yet"]


def document():
    by_file, by_name = collect(), named()
    ids = set(by_file) | set(by_name)
    out = ["# Which test shows what", "",
           "Edge cases have ids (E-001 ...), so have rules (R-001 ...) and invariants (INV-1 ...). Each",
           "edge case is shown by tests whose names carry its id: `python3 tests/sip/test_x.py E-001`",
           "runs those of a file, and scenarios are the files of `tests/trace/scenarios`. This page is",
           "made from the tests by `tests/lint/coverage.py --write`; `make check` fails when it is out of",
           "date, and when a case is shown by no test.", "",
           "## Edge cases", ""]
    for i, what in CASES.items():
        out += [f"**{i}** {what}", ""] + entry(i, by_name, by_file) + [""]
    out += ["## Rules and invariants", ""]
    for i in sorted(i for i in ids if not i.startswith("E-")):
        out += [f"**{i}**", ""] + entry(i, by_name, by_file) + [""]
    return "\n".join(out).rstrip("\n") + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        with open(os.path.join(SRC, "docs/coverage.md"), "w", encoding="utf-8") as f:
            f.write(document())
    else:
        sys.stdout.write(document())
