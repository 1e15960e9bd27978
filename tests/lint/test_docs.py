"""Pages that are made from the code are what the code makes."""

import os
import re
import subprocess

from lint import SRC, Tap, text
import coverage

BUILD = os.environ.get("SEGUE_BUILD", "")


def printed(*command):
    path = os.path.join(BUILD, command[0])
    if not BUILD or not os.path.exists(path):
        return None
    return subprocess.run([path, *command[1:]], capture_output=True, check=False,
                          text=True).stdout


def drift(page, want, how):
    if not os.path.exists(os.path.join(SRC, page)):
        return [f"{page} is missing; run: {how}"]
    return [] if text(page) == want else [f"{page} is out of date; run: {how}"]


def missing_scenarios():
    """Names in the list of the RFCs' flows that are no scenarios."""
    page = "tests/trace/README.md"
    flows = text(page).split("## Flows of the RFCs")[1]
    return [f"{page}: there is no {n}.scn" for n in re.findall(r"`([\w-]+)`", flows)
            if not os.path.exists(os.path.join(SRC, f"tests/trace/scenarios/{n}.scn"))]


def main():
    tap = Tap()
    tap.check("docs/coverage.md is what the tests say",
              drift("docs/coverage.md", coverage.document(), "tests/lint/coverage.py --write"))
    graph = printed("seguectl", "graph", "--markdown")
    if graph is not None:
        tap.check("seguectl graph --markdown prints docs/transfers.md",
                  drift("docs/transfers.md", graph,
                        "seguectl graph --markdown > docs/transfers.md"))
    tap.check("every edge case has a test whose name carries its id",
              [f"no test's name carries {i}" for i in coverage.unnamed()])
    tap.check("every edge case that tests speak of is in tests/lint/cases.py",
              [f"{i} is not in the list" for i in coverage.unknown()])
    tap.check("every flow of RFC 5589 and 5359 names scenarios that exist", missing_scenarios())
    tap.finish()


main()
