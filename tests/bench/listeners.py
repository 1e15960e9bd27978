#!/usr/bin/env python3
"""1,000 listeners of the event stream at 200 facts a second: what they cost segued, how late the
facts reach them, and whether calls are set up any slower.

    SEGUE_BUILD=build python3 tests/bench/listeners.py [--listeners N] [--seconds S] [--write]

Needs SIPp, and the right to capture (root): when messages passed is read from the kernel's stamps. The
build should be optimised and without sanitizers. Prints one table, and puts it into docs/performance.md
with --write. The latencies are from the fact's own time to the listener's clock, of ten listeners that
read what they get. The others are a process of their own, where the kernel throws away what comes:
reading it all would cost more than sending it. It has the processor when nobody else wants it, since
listeners are other people's machines.

What the listeners do to calls is partly not segued's doing: the same processors carry their megabytes.
So each turn has a third row, the control: one listener at segued, and a program that knows nothing of
calls (crowd.c) writes as much to as many sockets as segued did in the row before.
"""
import argparse
import datetime as dates
import multiprocessing
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from datetime import datetime
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import procs
import report
import segued
import systems
import wire
from web import WebLab

CALLS_A_SECOND = 17  # of some 12 facts each
BEGIN, END = "<!-- listeners:begin -->", "<!-- listeners:end -->"
HEAD = ["Listeners", "facts/s", "CPU of segued, %", "of that its loop",
        "a fact reaches its listener, p50 / p99 ms", "set-up p50 / p99 ms",
        "of that segued, for each message passed on, p50 / p99 ms", "RSS, MB", "cut off",
        "MB/s to listeners"]
ROUND_MS = 50  # of segued, for so many listeners
READERS = 10
NICE = 10  # what segued writes to listeners with
AT = re.compile(rb'event: timeline\ndata: [^\n]*?"at":"([^"]+)"')


def listen(session, n):
    """n sockets on the stream, in a selector."""
    request = (f"GET /api/v1/events HTTP/1.0\r\nHost: x\r\nCookie: segue_session="
               f"{session.cookie}\r\n\r\n").encode()
    return connect(session.lab.http_port, n, request)


def connect(port, n, request=b""):
    sel = selectors.DefaultSelector()
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(request)
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ)
    return sel


def yield_to_all():
    """Listeners are other people's machines: they are not to take the processor from a phone."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class Crowd:
    """Listeners in a process of their own, doing `fn` with their selector until they are ended."""

    def __init__(self, fn, listening, give_way):
        fork = multiprocessing.get_context("fork")
        self.ready, self.ended, self.lost = fork.Event(), fork.Event(), fork.Value("i", 0)
        self.bytes, self.late = fork.Value("q", 0), fork.Queue()
        self.process = fork.Process(target=self._main, args=(fn, listening, give_way), daemon=True)
        self.process.start()
        if not self.ready.wait(60):
            raise RuntimeError("the listeners did not all get in")

    def _main(self, fn, listening, give_way):
        give_way()
        sel = listening()
        self.ready.set()
        fn(self, sel)

    def gone(self, sel, key):
        sel.unregister(key.fileobj)
        with self.lost.get_lock():
            self.lost.value += 1

    def end(self):
        self.ended.set()
        self.process.join()


def drain(crowd, sel):
    """Throws away what comes, and counts it."""
    while not crowd.ended.is_set():
        for key, _ in sel.select(0.5):
            try:
                n = len(key.fileobj.recv(1 << 20, socket.MSG_TRUNC))
            except ConnectionError:
                n = 0
            if n:
                crowd.bytes.value += n
            else:
                crowd.gone(sel, key)


def read(crowd, sel):
    """Notes how late each entry of the timeline was."""
    rest, late, since = {}, [], time.monotonic() + 2  # the snapshots are out
    while not crowd.ended.is_set():
        for key, _ in sel.select(0.5):
            data = key.fileobj.recv(1 << 16)
            if not data:
                crowd.gone(sel, key)
                continue
            now = time.time()
            whole, _, rest[key.fd] = (rest.get(key.fd, b"") + data).rpartition(b"\n\n")
            if time.monotonic() > since:
                late += [now - datetime.fromisoformat(
                    at.decode().replace("Z", "+00:00")).timestamp() for at in AT.findall(whole)]
    crowd.late.put(late)


class Elsewhere:
    """The control: a program that writes `each` bytes to n sockets in every round of segued's."""

    def __init__(self, dir, n, each):
        program = systems.tool("crowd", dir)
        self.proc = subprocess.Popen([program, str(n), str(each), str(ROUND_MS)], text=True,
                                     stdout=subprocess.PIPE, preexec_fn=lambda: os.nice(NICE))
        self.port = int(self.proc.stdout.readline())

    def end(self):
        self.proc.terminate()
        self.proc.wait()


def percentile(values, p):
    s = sorted(values)
    return s[min(len(s) - 1, int(len(s) * p / 100))] * 1000 if s else float("nan")


def calls(lab, seconds, number):
    """Runs SIPp for so long; what was seen on the wire meanwhile."""
    seen = wire.Wire(lab.port)
    seen.start()
    subprocess.run(["sipp", "-sn", "uac", "-s", number, f"{lab.ip}:{lab.port}", "-i", "127.0.1.1",
                    "-r", str(CALLS_A_SECOND), "-m", str(CALLS_A_SECOND * seconds), "-d", "1500",
                    "-nostdin"],
                   cwd=lab.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=dict(os.environ, TERM="dumb"), timeout=seconds + 60)
    seen.ended.set()
    seen.join()
    return seen


def facts(lab, session):
    text = session.get("//metrics").body.decode()
    return float(re.search(r"^segue_facts_total (\S+)", text, re.M).group(1))


def measure(lab, session, seconds, number, n, elsewhere=None):
    """One row: what n listeners cost while calls are made. elsewhere: (sockets, bytes of a round)."""
    other = Elsewhere(lab.dir, *elsewhere) if elsewhere else None
    port = other.port if other else 0
    crowd = Crowd(drain, (lambda: connect(port, elsewhere[0])) if other else
                  (lambda: listen(session, n - min(n, READERS))), yield_to_all)
    readers = Crowd(read, lambda: listen(session, min(n, READERS)), lambda: os.nice(NICE))
    time.sleep(2)  # the snapshots are out
    pid, count, bytes = lab.daemon.proc.pid, facts(lab, session), crowd.bytes.value
    cpu, loop, began = procs.cpu(pid), loop_cpu(pid), time.monotonic()
    seen = calls(lab, seconds, number)
    took = time.monotonic() - began
    row = {"listeners": n, "elsewhere": elsewhere, "facts": (facts(lab, session) - count) / took,
           "cpu": 100 * (procs.cpu(pid) - cpu) / took, "loop": 100 * (loop_cpu(pid) - loop) / took,
           "setup": seen.setup, "passed": seen.passed, "rss": procs.rss(pid) / 1e6,
           "rate": (crowd.bytes.value - bytes) / took}
    readers.ended.set()
    row["late"] = readers.late.get(timeout=30)
    readers.end()
    crowd.end()
    if other:
        other.end()
    row["cut"] = crowd.lost.value + readers.lost.value
    return row


def loop_cpu(pid):
    return sum(s for (tid, _), s in procs.threads(pid).items() if tid == pid)


def cells(r):
    two = "{:.1f} / {:.1f}".format
    name = r["listeners"] if not r["elsewhere"] else f"{r['listeners']}, {r['elsewhere'][0]} elsewhere"
    return [str(name), f"{r['facts']:.0f}", f"{r['cpu']:.1f}", f"{r['loop']:.1f}",
            two(percentile(r["late"], 50), percentile(r["late"], 99)),
            two(percentile(r["setup"], 50), percentile(r["setup"], 99)),
            "{:.2f} / {:.2f}".format(percentile(r["passed"], 50), percentile(r["passed"], 99)),
            f"{r['rss']:.0f}", str(r["cut"]), f"{r['rate'] / 1e6:.0f}"]


def turn(lab, session, args):
    """Without, with, and the control."""
    rows = []
    for n in (1, args.listeners):
        rows.append(measure(lab, session, args.seconds, "5000", n))
        print("  ".join(cells(rows[-1])), flush=True)
    each = rows[-1]["rate"] / (args.listeners - READERS) * ROUND_MS / 1000
    rows.append(measure(lab, session, args.seconds, "5000", 1, (args.listeners, int(each))))
    print("  ".join(cells(rows[-1])), flush=True)
    return rows


def write(rows, load):
    """The table, in its place in docs/performance.md."""
    path = os.path.join(HERE, "..", "..", "docs", "performance.md")
    lines = [HEAD] + [cells(r) for r in rows]
    text = (f"{BEGIN}\n{report.rows(lines)}\n\nMeasured {dates.date.today()} with listeners, phones "
            f"and database on the same {os.cpu_count()} cores; what else ran there made for a load of "
            f"{load:.1f} at the start.\n{END}")
    with open(path, encoding="utf-8") as f:
        page = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(page[:page.index(BEGIN)] + text + page[page.index(END) + len(END):])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--listeners", type=int, default=1000)
    args.add_argument("--seconds", type=int, default=60)
    args.add_argument("--turns", type=int, default=1, help="of without, with, and the control")
    args.add_argument("--write", action="store_true")
    args = args.parse_args()
    if not shutil.which("sipp"):
        sys.exit("sipp is missing: install the package sip-tester")
    load, rows = os.getloadavg()[0], []
    with WebLab(users=3, peers=2) as lab:
        port = segued.free_port("127.0.3.1")
        lab.add_user("callee", "5000", contact=f"sip:callee@127.0.3.1:{port}")
        session = lab.login("boss")
        callee = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.3.1", "-p", str(port),
                                   "-nostdin"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=dict(os.environ, TERM="dumb"))
        try:
            time.sleep(1)
            print("; ".join(HEAD))
            for _ in range(args.turns):
                rows += turn(lab, session, args)
        finally:
            callee.kill()
            callee.wait()
    if args.write:
        write(rows, load)


if __name__ == "__main__":
    main()
