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


# what the core's own refusals (code_of in api_verbs.c) and the server (server.c) answer
CORE_CODES = {"refused": 403, "no_target": 404, "conflict": 409, "media_busy": 409, "failed": 503}
SERVER_CODES = {"too_large": 413, "bad_request": 400}


def codes_given():
    """(status, code) of every error that the HTTP interface can answer."""
    app = os.path.join(SRC, "src/app")
    source = "".join(text("src/app/" + f) for f in sorted(os.listdir(app)) if f.startswith("api"))
    given = {(int(status), code) for status, code in
             re.findall(r'api_fail(?:_with)?\(\s*q,\s*(\d+),\s*"(\w+)"', source)}
    core = set(re.findall(r'return "(\w+)";', source.split("code_of(int status)\n{")[1].split("\n}")[0]))
    return given | {(CORE_CODES.get(c, 0), c) for c in core} | {(s, c) for c, s in SERVER_CODES.items()}


def codes_drift():
    """Codes that docs/api-shapes.md does not list with their status, and those that nobody gives."""
    page = text("docs/api-shapes.md")
    told = {(int(status), code) for row in re.findall(r"^\| (\d{3}) \| (`.*?) \|", page, re.M)
            for status in [row[0]] for code in re.findall(r"`(\w+)`", row[1])}
    return [f"docs/api-shapes.md lacks {c} ({s})" for s, c in sorted(codes_given() - told)] + \
        [f"docs/api-shapes.md has {c} ({s}), which is never answered" for s, c in sorted(told - codes_given())]


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
    tap.check("docs/api-shapes.md lists the codes of errors that there are, and no others", codes_drift())
    tap.finish()


main()
