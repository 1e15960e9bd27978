"""Functions are short: none above 100 lines; the median and the longest are shown."""

import re

from lint import Tap, files, text

LONGEST = 100
ASK_WHY = 60
NAME = re.compile(r"(\w+)\s*\(")


def functions(name):
    """(function, line, lines between its braces). A body opens and closes in column 1."""
    lines = text(name).split("\n")
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            head = i - 1
            while head > 0 and lines[head].startswith((" ", "\t")):
                head -= 1
            found = NAME.search(lines[head])
            start, called = i, found.group(1) if found else "?"
        elif line == "}" and start is not None:
            yield called, start + 1, i - start - 1
            start = None


def quantile(sizes, q):
    return sorted(sizes)[min(len(sizes) - 1, int(len(sizes) * q))] if sizes else 0


def main():
    tap = Tap()
    for where in ("src", "tests"):
        found = [(n, f, at, size) for n in files(".c", under=where)
                 for f, at, size in functions(n)]
        sizes = [size for *_, size in found]
        print(f"# {where}: {len(sizes)} functions, median {quantile(sizes, 0.5)} lines, "
              f"p90 {quantile(sizes, 0.9)}, longest {max(sizes, default=0)}")
        for n, f, at, size in found:
            if size > ASK_WHY:
                print(f"# {n}:{at}: {f}() has {size} lines")
        tap.check(f"no function in {where} has more than {LONGEST} lines",
                  [f"{n}:{at}: {f}() has {size} lines" for n, f, at, size in found
                   if size > LONGEST])
        tap.check(f"functions in {where} were found", [] if len(sizes) > 20 else ["too few"])
    tap.finish()


main()
