"""The page with 1,000 live calls and 200 changes a second: what is drawn, how soon, and at what cost.

The page is the real one, the stream is not: a server of this test sends what segued would, at the rate
that is to be measured, with the time at which each change was sent. How soon a change is painted and how much of
the main thread that takes is printed: it depends on what else the machine does, so it is no condition.
What is written to the document for a change does not, and is.
"""
import http.server
import json
import os
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import segued
import tap
from browser import Browser

CALLS, RATE = 1000, 200
WINDOW = 4   # seconds
WRITES = 3   # to the document, for each change: only what it changes is written, and only what is seen
POLICY = ("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
          "media-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
          "require-trusted-types-for 'script'")
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
ME = {"user": "boss", "name": "The Boss", "role": "admin", "departments": [], "permissions":
      ["view", "transfer", "hangup", "control", "agents", "history", "recordings"]}

# When a frame with a change has been painted: after the callbacks of the frame, one task later.
CLOCK = """
window.painted = []; let waiting = [];
const raf = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = f => raf(t => {
	f(t);
	const seen = waiting; waiting = [];
	const ch = new MessageChannel();
	ch.port1.onmessage = () => {
		const now = performance.timeOrigin + performance.now();
		for (const sent of seen) window.painted.push(now - sent);
	};
	ch.port2.postMessage(0);
});
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, f) {
	return listen.call(this, name, e => {
		if (name === 'call') waiting.push(JSON.parse(e.data).sent);
		f(e);
	});
};
"""

# Everything that is written to the document.
COUNT = """
window.writes = 0;
new MutationObserver(list => { window.writes += list.length; }).observe(document,
	{subtree: true, childList: true, characterData: true, attributes: true});
"""


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + f".{int(t * 1000) % 1000:03d}Z"


def call(i, turn, began):
    """Call i as it is after `turn` changes: it talks, is held, talks again ..."""
    held = turn % 2 == 1
    can = {v: True for v in ("transfer", "consult", "hold", "hangup")}
    return {"id": f"{i}.1", "conversation": f"c{i}", "kind": "inbound",
            "state": "held" if held else "talking", "table_state": "TALK",
            "customer": {"number": f"+49300{i:06d}", "name": f"Customer {i}"},
            "with": {"user": f"u{i}", "name": f"Agent {i}", "number": str(2000 + i)},
            "started_at": iso(began + i / 100), "since": iso(time.time()), "deadline": None, "queue": None,
            "department": "support", "transfer": None, "recording": "off", "case": None, "parties": [],
            "so_far": [{"state": "ringing", "from": iso(began + i / 100), "to": iso(began + i / 100 + 3)},
                       {"state": "holding" if held else "talking", "from": iso(began + i / 100 + 3), "to": None}],
            "can": can, "sent": time.time() * 1000}


class Source(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, kind, **headers):
        self.send_response(200)
        for k, v in {"Content-Type": kind, "Content-Length": str(len(body)),
                     "Content-Security-Policy": POLICY, **headers}.items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(json.dumps({**ME, "now": iso(time.time())}).encode(), "application/json")

    def do_GET(self):
        path = self.path.split("?")[0].strip("/") or "index.html"
        if path == "api/v1/events":
            return self.stream()
        if path.startswith("api/"):
            return self.answer(json.dumps({**ME, "now": iso(time.time())}).encode(), "application/json")
        with open(os.path.join(segued.SRC, "src/panel", os.path.basename(path)), "rb") as f:
            self.answer(f.read(), TYPES[path.rsplit(".", 1)[1]])

    def event(self, name, data):
        self.wfile.write(f"event: {name}\nid: 1-1\ndata: {json.dumps(data)}\n\n".encode())

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        began, turn, n = time.time() - 600, [0] * CALLS, 0
        self.event("snapshot", {"at": iso(time.time()), "seq": 1, "total": CALLS, "agents": [], "queues": [],
                                "calls": [call(i, 0, began) for i in range(CALLS)]})
        next_at = time.monotonic()
        try:
            while not self.server.over:
                i = n * 7 % CALLS
                turn[i] += 1
                n += 1
                self.event("call", call(i, turn[i], began))
                next_at += 1 / RATE
                time.sleep(max(0, next_at - time.monotonic()))
                if time.monotonic() - next_at > 1:
                    next_at = time.monotonic()  # this process got no turn: no burst to make up for it
        except OSError:
            pass


class ManyLab:
    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
        self.server.daemon_threads, self.server.over = True, False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.browser = Browser()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        return self

    def __exit__(self, *exc):
        self.server.over = True
        self.browser.close()
        self.server.shutdown()


def page(lab):
    p = lab.browser.page("about:blank")
    tap.at_end(lambda: lab.browser.send("Target.closeTarget", {"targetId": p.target}))
    p.send("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK})
    p.go(lab.url)
    p.click("textbox", "User name")
    p.type("boss")
    p.click("textbox", "Password")
    p.type("x")
    p.press("Enter")
    p.see("row", "Customer 0")
    return p


def p99(values):
    values = sorted(values)
    return values[int(0.99 * len(values))] if len(values) > RATE else 1e9


def metric(p, name):
    metrics = p.send("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in metrics if m["name"] == name)


@tap.case(f"{CALLS} calls, {RATE} changes a second: each is painted, and little is written for it")
def many(lab):
    p = page(lab)
    p.send("Performance.enable", {"timeDomain": "threadTicks"})
    p.js(COUNT)
    p.js("window.painted.length = 0, window.writes = 0")
    began, used, frames = time.monotonic(), metric(p, "TaskDuration"), metric(p, "LayoutCount")
    time.sleep(WINDOW)  # this is what is measured: a span of time
    wall, used, frames = (time.monotonic() - began, metric(p, "TaskDuration") - used,
                          metric(p, "LayoutCount") - frames)
    late, writes = sorted(p.js("window.painted")), p.js("window.writes")
    print(f"# {len(late) / wall:.0f} changes/s painted, p50 {late[len(late) // 2]:.0f} ms, "
          f"p99 {p99(late):.0f} ms; main thread {100 * used / wall:.0f} %; {writes / len(late):.1f} writes and "
          f"{frames / len(late):.2f} layouts for each; load {os.getloadavg()[0] / os.cpu_count():.1f} "
          "for each processor", flush=True)
    assert len(late) > RATE, f"{len(late)} changes in {wall:.1f} s"
    assert writes < WRITES * len(late), f"{writes} writes for {len(late)} changes"
    assert frames <= len(late), f"{frames} layouts for {len(late)} changes"


@tap.case("of many rows only those that can be seen exist; the list says how many there are")
def windowed(lab):
    p = page(lab)
    table = p.see("table", "Live calls")
    assert table.call("return this.getAttribute('aria-rowcount')") == str(CALLS + 1)
    rows = table.call("return this.querySelectorAll('tbody tr[data-id]').length")
    assert rows <= 60, f"{rows} rows are in the document"
    p.js("document.querySelector('.main').scrollTo(0, 1e9)")
    last = p.see("row", f"Customer {CALLS - 1}")
    assert last.call("return this.getAttribute('aria-rowindex')") == str(CALLS + 1)
    last.call("this.focus()")
    p.press("Home")
    p.see("row", "Customer 0:")
    p.wait(lambda: p.focus().startswith("Customer 0:"), "the first row has the focus")
    p.press("End")
    p.wait(lambda: p.focus().startswith(f"Customer {CALLS - 1}:"), "the last row has the focus")
    assert not p.unexpected(), p.unexpected()


if __name__ == "__main__":
    tap.main(ManyLab, jobs=1)
