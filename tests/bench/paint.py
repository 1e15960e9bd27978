#!/usr/bin/env python3
"""From a fact to what is painted for it: the built daemon, SIPp's calls, and Chromium with the page of live calls.

    SEGUE_BUILD=build python3 tests/bench/paint.py [--seconds S] [--hold S] [--turns N] [--write]

Needs SIPp and Chromium. The build should be optimised and without sanitizers. Each entry of the timeline carries
the time of its fact; it counts as painted when the first frame after it has been drawn and the browser's main
thread is free again. Daemon and browser are on one machine, so both clocks are one. Prints one table, and puts it
into docs/performance.md with --write.
"""
import argparse
import datetime as dates
import os
import shutil
import subprocess
import sys
import time
HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("../lib", "../panel", "."):
    sys.path.insert(0, os.path.join(HERE, folder))

import procs
import report
import segued
from listeners import CALLS_A_SECOND, facts, percentile
from panel import PanelLab, sign_in

BEGIN, END = "<!-- panel:begin -->", "<!-- panel:end -->"
HEAD = ["live calls", "facts/s", "entries painted a second", "fact to page, p50 / p99 ms",
        "fact to paint, p50 / p99 ms", "main thread of the page, %", "CPU of segued, %", "load for each processor"]
CLOCK = """
window.painted = []; window.arrived = []; let waiting = [];
const clock = () => performance.timeOrigin + performance.now();
const raf = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = f => raf(t => {
	f(t);
	const seen = waiting; waiting = [];
	const ch = new MessageChannel();
	ch.port1.onmessage = () => {
		for (const at of seen) window.painted.push((clock() - at) / 1000);
	};
	ch.port2.postMessage(0);
});
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, f) {
	return listen.call(this, name, e => {
		if (name === 'timeline') {
			const at = Date.parse(JSON.parse(e.data).at);
			window.arrived.push((clock() - at) / 1000);
			waiting.push(at);
		}
		f(e);
	});
};
"""


def metric(p, name):
    return next(m["value"] for m in p.send("Performance.getMetrics")["metrics"] if m["name"] == name)


def page(lab):
    p = lab.browser.page("about:blank")
    p.send("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
    p.go(lab.url + "#/live")
    sign_in(lab, p, "boss")
    p.send("Performance.enable", {"timeDomain": "threadTicks"})
    return p


def callers(lab, hold, seconds):
    return subprocess.Popen(
        ["sipp", "-sn", "uac", "-s", "5000", f"{lab.ip}:{lab.port}", "-i", "127.0.1.1", "-r", str(CALLS_A_SECOND),
         "-m", str(CALLS_A_SECOND * seconds), "-l", "100000", "-d", str(1000 * hold), "-nostdin"],
        cwd=lab.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, TERM="dumb"))


def measure(lab, session, p, seconds, hold):
    """One row. Calls come at a steady rate; once as many go as come, it is measured."""
    sipp = callers(lab, hold, hold + 2 + seconds)
    try:
        time.sleep(hold + 2)
        pid, count = lab.daemon.proc.pid, facts(lab, session)
        p.js("window.painted.length = window.arrived.length = 0")
        cpu, used, began = procs.cpu(pid), metric(p, "TaskDuration"), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        late, came, live = p.js("window.painted"), p.js("window.arrived"), len(session.get("/calls").json["calls"])
        busy = metric(p, "TaskDuration") - used
        return (live, (facts(lab, session) - count) / took, len(late) / took, percentile(came, 50),
                percentile(came, 99), percentile(late, 50), percentile(late, 99), 100 * busy / took,
                100 * (procs.cpu(pid) - cpu) / took, os.getloadavg()[0] / os.cpu_count())
    finally:
        sipp.wait(hold + seconds + 60)


def write(rows):
    """The table, in its place in docs/performance.md."""
    path = os.path.join(HERE, "..", "..", "docs", "performance.md")
    lines = [HEAD] + [[r[0], f"{r[1]:.0f}", f"{r[2]:.0f}", f"{r[3]:.0f} / {r[4]:.0f}",
                       f"{r[5]:.0f} / {r[6]:.0f}", f"{r[7]:.0f}", f"{r[8]:.0f}", f"{r[9]:.1f}"] for r in rows]
    text = (f"{BEGIN}\n{report.rows(lines)}\n\nMeasured {dates.date.today()} with callers, phones, database and "
            f"browser on the same {os.cpu_count()} cores.\n{END}")
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(whole[:whole.index(BEGIN)] + text + whole[whole.index(END) + len(END):])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--seconds", type=int, default=20)
    args.add_argument("--hold", type=int, default=20, help="seconds that a call lasts")
    args.add_argument("--turns", type=int, default=3)
    args.add_argument("--write", action="store_true")
    args = args.parse_args()
    if not shutil.which("sipp"):
        sys.exit("sipp is missing: install the package sip-tester")
    rows = []
    with PanelLab(users=3, peers=2) as lab:
        port = segued.free_port("127.0.3.1")
        lab.add_user("callee", "5000", contact=f"sip:callee@127.0.3.1:{port}")
        session = lab.login("boss")
        callee = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.3.1", "-p", str(port), "-nostdin"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=dict(os.environ, TERM="dumb"))
        try:
            p = page(lab)
            for _ in range(args.turns):
                rows.append(measure(lab, session, p, args.seconds, args.hold))
                print("live %d, %.0f facts/s, %.0f painted/s, fact to page p50 %.0f p99 %.0f, to paint p50 %.0f "
                      "p99 %.0f ms, main thread %.0f %%, "
                      "segued %.0f %%, load for each processor %.1f" % rows[-1], flush=True)
        finally:
            callee.kill()
            callee.wait()
    if args.write:
        write(rows)


if __name__ == "__main__":
    main()
