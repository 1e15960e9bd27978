"""build: the optimised build without sanitizers that is measured, and what belongs to a build."""
import os
import re
import subprocess

SRC = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def optimised(dir=None):
    """Makes one of this source tree, in bench-build/ of $SEGUE_BUILD; its directory."""
    dir = dir or os.path.join(os.environ.get("SEGUE_BUILD", os.getcwd()), "bench-build")
    if not os.access(os.path.join(SRC, "configure"), os.X_OK):
        subprocess.run(["autoreconf", "-fi"], cwd=SRC, check=True)
    os.makedirs(dir, exist_ok=True)
    if not os.path.exists(os.path.join(dir, "Makefile")):
        subprocess.run([os.path.join(SRC, "configure"), "-q", "CFLAGS=-O2 -g"], cwd=dir, check=True)
    subprocess.run(["make", "-s", f"-j{os.cpu_count()}", "segued", "seguectl"], cwd=dir, check=True)
    return dir


def source(dir):
    """The source tree of a build: an earlier one has a schema of its own."""
    try:
        with open(os.path.join(dir, "Makefile")) as f:
            found = re.search(r"^abs_top_srcdir = (.+)$", f.read(), re.M)
        return found[1] if found else SRC
    except FileNotFoundError:
        return SRC


def describe(dir):
    """The commit of a build, for people."""
    p = subprocess.run(["git", "log", "-1", "--format=the build of %h (%s)"], cwd=source(dir),
                       capture_output=True, text=True)
    return p.stdout.strip() or "another build"
