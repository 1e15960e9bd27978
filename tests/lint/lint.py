"""What the lints share: the files of the tree, and a few lines of TAP."""

import os
import subprocess
import sys

SRC = os.environ.get("SEGUE_SRC") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

SKIP = {".git", "autom4te.cache", "build-aux", "__pycache__", "corpus"}


def files(*suffixes, under=""):
    """Paths relative to the source tree, sorted: what git tracks, or everything in a tarball."""
    try:
        out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z", under or "."],
                             cwd=SRC, capture_output=True, check=True).stdout.decode()
        names = [n for n in out.split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for where, dirs, found in os.walk(os.path.join(SRC, under)):
            dirs[:] = [d for d in dirs if d not in SKIP]
            names += [os.path.relpath(os.path.join(where, f), SRC) for f in found]
    return sorted(n for n in set(names)
                  if n.endswith(suffixes or "") and not SKIP & set(n.split("/"))
                  and os.path.isfile(os.path.join(SRC, n)))


def text(name):
    with open(os.path.join(SRC, name), encoding="utf-8", errors="replace") as f:
        return f.read()


class Tap:
    """Counts checks and prints them; finish() gives the exit code."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, what, complaints):
        self.count += 1
        for c in complaints:
            print(f"# {c}")
        print(f"{'not ok' if complaints else 'ok'} {self.count} - {what}")
        self.failed += bool(complaints)

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
