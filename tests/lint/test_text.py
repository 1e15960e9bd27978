"""What is tracked says nothing about the machine it was written on, and keeps the house style."""

import re

from lint import Tap, files, text

# Put together from pieces, so that this file does not find itself.
MACHINE = re.compile("|".join((r"(?<![\w.])/wo" + r"rk/", "/ho" + "me/[a-z]", r"(?<![\w.])/ro" + "ot/",
                               "/tmp/" + "b-")))
LONG = 110


def main():
    tap = Tap()
    every = files()
    tap.check("the tree was found", [] if len(every) > 50 else [f"{len(every)} files"])

    tap.check("no absolute path of a machine",
              [f"{n}:{i}: {line.strip()[:80]}" for n in every if not n.endswith((".golden", ".m4"))
               for i, line in enumerate(text(n).split("\n"), 1) if MACHINE.search(line)])

    code = files(".c", ".h", under="src") + files(".c", ".h", under="tests")
    tap.check("C files open with a comment that says what they promise",
              [n for n in code if not text(n).startswith("/*")])
    tap.check("tabs, no trailing blanks, no lines far beyond 100 columns",
              [f"{n}:{i}" for n in code for i, line in enumerate(text(n).split("\n"), 1)
               if line != line.rstrip() or line.startswith("    ")
               or len(line.expandtabs(8)) > LONG])
    tap.finish()


main()
