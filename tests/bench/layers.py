"""layers: where the loop thread of segued spends its time, sampled by perf with call stacks.

A sample belongs to the innermost layer on its stack: a memcpy or a system call that the store asked
for is the store's. Which layer a function is in is read from the symbols of the built libraries.
"""
import collections
import glob
import os
import re
import shutil
import subprocess

import systems

LAYERS = {"core": "core", "store": "store", "db": "db", "sip": "sip", "app": "app"}
OBJECTS = (("sofia", "sofia-sip"), ("lmdb", "store"), ("libpq", "db"), ("crypto", "crypto"))


def available():
    if not shutil.which("perf"):
        return False
    probe = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-o", "/dev/null", "true"],
                           capture_output=True)
    return probe.returncode == 0


def layer_of_symbols(build):
    """{function: layer}; a name that two layers use belongs to none."""
    found = {}
    for path in glob.glob(os.path.join(build, "lib*.a")):
        layer = LAYERS.get(os.path.basename(path)[3:-2])
        if not layer:
            continue
        out = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True).stdout
        for name in re.findall(r" [tT] (\S+)", out):
            name = name.split(".")[0]
            found[name] = layer if found.get(name, layer) == layer else None
    return found


def layer(stack, symbols):
    """The innermost layer of a stack of (symbol, object), leaf first."""
    for symbol, obj in stack:
        known = symbols.get(symbol.split(".")[0])
        if known and "segued" in obj:
            return known
        for part, name in OBJECTS:
            if part in obj:
                return name
    return "app" if any("segued" in obj for _, obj in stack) else "kernel and libc"


class Recorder:
    """Samples a running segued for so many seconds."""

    def __init__(self, segue, seconds):
        self.segue = segue
        self.data = os.path.join(segue.dir, "perf.data")
        self.proc = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "797", "--call-graph", "dwarf,8192",
             "-t", str(segue.pid), "-o", self.data, "--", "sleep", str(seconds + 1)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, systems.OTHER_CPUS))

    def shares(self):
        """{layer: samples}"""
        self.proc.wait()
        symbols = layer_of_symbols(self.segue.build)
        out = subprocess.run(["perf", "script", "-i", self.data, "-F", "ip,sym,dso"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        found = collections.Counter()
        for sample in out.split("\n\n"):
            stack = re.findall(r"^\s*[0-9a-f]+ (.*?) \(([^()]*)\)$", sample, re.M)
            if stack:
                found[layer([(s.split("+")[0], o) for s, o in stack], symbols)] += 1
        return found
