"""docs/coverage.md: which tests speak of which edge case (E-id) and rule (R-id).

    coverage.py            prints it
    coverage.py --write    writes docs/coverage.md
"""

import os
import re
import sys

from lint import SRC, files, text

ID = re.compile(r"\b([ER]-\d{3}[a-z]?|INV-\d)\b")
RANGE = re.compile(r"\bE-(\d{3})(?:\.\.|…| to )E-(\d{3})\b")

# What this version promises: issue by issue the list grows.
PROMISED = [range(1, 12), range(15, 20), range(25, 37), range(40, 57), [58], range(60, 80), [123]]


def promised():
    return [f"E-{n:03}" for r in PROMISED for n in r]


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


def table(found, ids):
    out = ["| Case | Tests |", "|---|---|"]
    for i in ids:
        names = ", ".join(f"`{n[len('tests/'):]}`" for n in found.get(i, [])) or "none yet"
        out.append(f"| {i} | {names} |")
    return out


def document():
    found = collect()
    edge = sorted(set(promised()) | {i for i in found if i.startswith("E-")})
    rules = sorted(i for i in found if not i.startswith("E-"))
    out = ["# Which test shows what", "",
           "Edge cases have ids (E-001 ...), so have rules (R-001 ...) and invariants (INV-1 ...);",
           "tests name them where they show them. This page is made from the tests by",
           "`tests/lint/coverage.py --write`, and `make check` fails when it is out of date.", "",
           "## Edge cases", ""]
    out += table(found, edge)
    out += ["", "## Rules and invariants", ""]
    out += table(found, rules)
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        with open(os.path.join(SRC, "docs/coverage.md"), "w", encoding="utf-8") as f:
            f.write(document())
    else:
        sys.stdout.write(document())
