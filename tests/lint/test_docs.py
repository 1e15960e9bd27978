"""Pages that are made from the code are what the code makes."""

import os
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


def main():
    tap = Tap()
    tap.check("docs/coverage.md is what the tests say",
              drift("docs/coverage.md", coverage.document(), "tests/lint/coverage.py --write"))
    graph = printed("seguectl", "graph", "--markdown")
    if graph is not None:
        tap.check("seguectl graph --markdown prints docs/transfers.md",
                  drift("docs/transfers.md", graph,
                        "seguectl graph --markdown > docs/transfers.md"))
    found = coverage.collect()
    missing = [i for i in coverage.promised() if i not in found]
    tap.check("every promised edge case is named by a test",
              [f"no test names {i}" for i in missing])
    tap.finish()


main()
