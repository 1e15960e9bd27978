"""browser: Debian's Chromium, driven over the DevTools protocol on two pipes, for tests.

    with Browser() as b:
        p = b.page(url)
        p.click("button", "Transfer Priya Raman")     # by role and name, never by class
        p.press("Enter")
        p.wait(lambda: p.find("row", "Priya Raman"))

Promise: elements are found through the accessibility tree alone: what a test cannot find, a person
with a screen reader cannot find either. Input is real: mouse and key events at the element's place.
Everything that the page complains about (console, exceptions, refused by its policy, requests to
elsewhere) is kept in `complaints`. The browser ends with the test; its profile is a temporary
directory. Nothing but Python's standard library is needed.
"""
import base64
import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

WAIT = 40
CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PR_SET_PDEATHSIG = 1

KEYS = {  # name: (code, virtual key, text)
    "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, None), "Tab": ("Tab", 9, None),
    "Backspace": ("Backspace", 8, None), "ArrowDown": ("ArrowDown", 40, None),
    "ArrowUp": ("ArrowUp", 38, None), "ArrowLeft": ("ArrowLeft", 37, None),
    "ArrowRight": ("ArrowRight", 39, None), "Home": ("Home", 36, None), "End": ("End", 35, None),
    " ": ("Space", 32, " "),
}
ALT, CTRL, SHIFT = 1, 2, 8


def chromium():
    for name in CANDIDATES:
        path = shutil.which(name)
        if path:
            return path
    raise FileNotFoundError("no chromium: install the package chromium")


class ProtocolError(Exception):
    """The browser refused a command."""


class Browser:
    def __init__(self, width=1440, height=900, timezone="UTC"):
        self.dir = tempfile.mkdtemp(prefix="segue-browser-")
        self.size, self.timezone = (width, height), timezone
        self.lock, self.ids, self.answers, self.pages = threading.Lock(), 0, {}, {}
        self.changed = threading.Condition()
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()
        self.process = self._start(to_r, back_w)
        os.close(to_r)
        os.close(back_w)
        threading.Thread(target=self._read, daemon=True).start()

    def _start(self, to_r, back_w):
        args = [chromium(), "--headless=new", "--remote-debugging-pipe",
                f"--user-data-dir={self.dir}", "--no-first-run", "--no-default-browser-check",
                "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
                "--disable-component-update", "--disable-background-networking", "--disable-sync",
                "--mute-audio", "--force-color-profile=srgb", "--hide-scrollbars",
                f"--window-size={self.size[0]},{self.size[1]}", "about:blank"]
        if os.geteuid() == 0:
            args.insert(1, "--no-sandbox")

        def child():  # the protocol is spoken on descriptors 3 and 4
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            r, w = os.dup(to_r), os.dup(back_w)
            high_r, high_w = os.dup(r), os.dup(w)
            os.dup2(high_r, 3)
            os.dup2(high_w, 4)

        env = dict(os.environ, HOME=self.dir, TZ=self.timezone, LANG="C.UTF-8")
        with open(os.path.join(self.dir, "log"), "wb") as log:
            return subprocess.Popen(args, preexec_fn=child, close_fds=False, env=env,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=log, start_new_session=True)

    # -- protocol ----------------------------------------------------------------------------

    def _read(self):
        rest = b""
        while True:
            try:
                data = os.read(self.back, 1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            rest += data
            *whole, rest = rest.split(b"\0")
            for m in whole:
                self._take(json.loads(m))
        with self.changed:
            self.answers["ended"] = True
            self.changed.notify_all()

    def _take(self, m):
        with self.changed:
            if "id" in m:
                self.answers[m["id"]] = m
            else:
                page = self.pages.get(m.get("sessionId"))
                if page:
                    page.note(m["method"], m["params"])
            self.changed.notify_all()

    def post(self, method, params=None, session=None):
        with self.lock:
            self.ids += 1
            m = {"id": self.ids, "method": method, "params": params or {}}
            if session:
                m["sessionId"] = session
            os.write(self.to, json.dumps(m).encode() + b"\0")
            return m["id"]

    def send(self, method, params=None, session=None, timeout=20):
        """Sends a command and returns its result."""
        n, deadline = self.post(method, params, session), time.monotonic() + timeout
        with self.changed:
            while n not in self.answers:
                left = deadline - time.monotonic()
                if left <= 0 or "ended" in self.answers:
                    raise ProtocolError(f"{method}: no answer")
                self.changed.wait(left)
            m = self.answers.pop(n)
        if "error" in m:
            raise ProtocolError(f"{method}: {m['error'].get('message')}")
        return m["result"]

    # -- pages -------------------------------------------------------------------------------

    def page(self, url, **kw):
        """A page of its own: cookies and storage are shared with no other page."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        size = {"width": kw.get("width", self.size[0]), "height": kw.get("height", self.size[1])}
        target = self.send("Target.createTarget", {
            "url": "about:blank", "browserContextId": context, **size})["targetId"]
        session = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        p = Page(self, session, target, url)
        p.context = context
        self.pages[session] = p
        p.open(**kw)
        return p

    def sleep(self, awake):
        """Everything of the browser stands still, or runs again: as when the lid of a laptop is shut."""
        os.killpg(self.process.pid, signal.SIGCONT if awake else signal.SIGSTOP)

    def close(self):
        try:
            self.send("Browser.close", timeout=5)
        except ProtocolError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Node:
    """Something that a person can perceive: role, name, and what it is made of."""

    def __init__(self, page, ax):
        self.page, self.id = page, ax.get("backendDOMNodeId")
        self.role, self.name = ax["role"]["value"], ax.get("name", {}).get("value", "")
        self.properties = {p["name"]: p["value"].get("value") for p in ax.get("properties", [])}

    def __repr__(self):
        return f"{self.role} {self.name!r}"

    @property
    def off(self):
        return bool(self.properties.get("disabled"))

    def box(self):
        quads = self.page.send("DOM.getContentQuads", {"backendNodeId": self.id})["quads"]
        if not quads:
            raise ProtocolError("it is not drawn")
        quad = quads[0]
        xs, ys = quad[0::2], quad[1::2]
        return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)

    def call(self, body, *args):
        """Calls a JavaScript function with the element as `this`."""
        obj = self.page.send("DOM.resolveNode", {"backendNodeId": self.id})["object"]["objectId"]
        got = self.page.send("Runtime.callFunctionOn", {
            "objectId": obj, "functionDeclaration": f"function(...args) {{ {body} }}",
            "arguments": [{"value": a} for a in args], "returnByValue": True})
        return got["result"].get("value")

    @property
    def text(self):
        return self.call("return this.innerText ?? this.textContent")


class Page:
    def __init__(self, browser, session, target, url):
        self.browser, self.session, self.target, self.url = browser, session, target, url
        self.complaints, self.requests, self.allowed = [], [], []
        self.bytes, self.sizes, self.wire = 0, {}, {}

    def send(self, method, params=None, timeout=20):
        return self.browser.send(method, params, self.session, timeout)

    def open(self, width=None, height=None, dark=False, phone=False, reduced=True):
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Accessibility"):
            self.send(f"{domain}.enable")
        if width:
            self.resize(width, height, phone)
        self.scheme(dark, reduced)
        self.slow(float(os.environ.get("SEGUE_LATE_MS", 0)))
        self.go(self.url)

    def slow(self, ms):
        """A machine of a sixth of the speed, with that many ms to the server; 0 leaves it as it is."""
        if ms:
            self.send("Emulation.setCPUThrottlingRate", {"rate": 6})
            self.send("Network.emulateNetworkConditions", {
                "offline": False, "latency": ms, "downloadThroughput": -1, "uploadThroughput": -1})

    def resize(self, width, height, phone=False):
        self.send("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})
        self.send("Emulation.setTouchEmulationEnabled", {"enabled": phone})

    def scheme(self, dark, reduced=True):
        self.send("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"}]})

    def go(self, url):
        self.send("Page.navigate", {"url": url})
        self.wait(lambda: self.js("document.readyState") == "complete", f"{url} has loaded")

    # -- what the page complains about --------------------------------------------------------

    def note(self, method, p):
        if method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            said = " ".join(str(a.get("value", a.get("description"))) for a in p["args"])
            self.complaints.append("console: " + said)
        elif method == "Runtime.exceptionThrown":
            d = p["exceptionDetails"]
            what = d.get("exception", {}).get("description", d.get("text", ""))
            self.complaints.append("exception: " + what)
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"log: {p['entry']['text']} {p['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])
        elif method == "Network.dataReceived":
            self.bytes += p["dataLength"]
        elif method == "Network.responseReceived":
            self.sizes[p["requestId"]] = [p["response"]["url"], 0]
        elif method == "Network.loadingFinished":
            self.wire[p["requestId"]] = int(p["encodedDataLength"])  # packed, with its headers
        if method == "Network.dataReceived" and p["requestId"] in self.sizes:
            self.sizes[p["requestId"]][1] += p["dataLength"]

    def unexpected(self):
        """Complaints that no test has allowed."""
        return [c for c in self.complaints if not any(a in c for a in self.allowed)]

    # -- looking ------------------------------------------------------------------------------

    def js(self, expression):
        got = self.send("Runtime.evaluate", {
            "expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in got:
            thrown = got["exceptionDetails"].get("exception", {})
            raise ProtocolError(thrown.get("description", "exception"))
        return got["result"].get("value")

    def find_all(self, role, name=None, exact=False):
        """What has that role, and a name that is or contains `name`, in the order of the document."""
        root = self.send("DOM.getDocument", {"depth": 0})["root"]["backendNodeId"]
        params = {"backendNodeId": root, "role": role}
        if name is not None and exact:
            params["accessibleName"] = name
        found = self.send("Accessibility.queryAXTree", params)["nodes"]
        nodes = [Node(self, n) for n in found if not n.get("ignored")]
        fits = lambda n: name is None or (n.name == name if exact else name in n.name)
        return [n for n in nodes if fits(n)]

    def everything(self):
        """All that can be perceived, asked for at once: {role: [nodes]}."""
        out = {}
        for n in self.send("Accessibility.getFullAXTree")["nodes"]:
            if not n.get("ignored") and "role" in n:
                node = Node(self, n)
                out.setdefault(node.role, []).append(node)
        return out

    def find(self, role, name=None, exact=False):
        found = self.find_all(role, name, exact)
        return found[0] if found else None

    def wait(self, check, what="it is so", timeout=WAIT):
        """Until check() is true; its value. The page may change while it is being looked at."""
        deadline, why = time.monotonic() + timeout, ""
        while True:
            try:
                got = check()
            except ProtocolError as e:
                got, why = None, f" ({e})"
            if got:
                return got
            if time.monotonic() > deadline:
                raise AssertionError(f"after {timeout} s it is still not so that {what}{why}; "
                                     f"the page says:\n{self.says()}")
            time.sleep(0.02)

    def see(self, role, name=None, timeout=WAIT, exact=False):
        return self.wait(lambda: self.find(role, name, exact), f"there is {role} {name!r}", timeout)

    def gone(self, role, name=None, timeout=WAIT):
        self.wait(lambda: not self.find(role, name), f"{role} {name!r} is gone", timeout)

    def says(self):
        try:
            return self.js("document.body.innerText + ' ' + document.getElementById('status').textContent")
        except ProtocolError as e:
            return f"(nothing: {e})"

    def reads(self, text, timeout=WAIT):
        """Until that text can be read somewhere."""
        self.reads_one(text, timeout=timeout)

    def reads_one(self, *texts, timeout=WAIT):
        """Until one of these can be read somewhere."""
        self.wait(lambda: self.has(*texts), f"the page says {' or '.join(map(repr, texts))}", timeout)

    def has(self, *texts):
        """Can one of these be read now?"""
        flat = lambda s: " ".join(s.split())
        says = flat(self.says())
        return any(flat(t) in says for t in texts)

    # -- acting -------------------------------------------------------------------------------

    def click(self, role, name=None, timeout=WAIT, exact=False):
        """A click with the mouse in the middle of it, once it stands still and nothing covers it."""
        last = []

        def place():
            node = self.find(role, name, exact)
            if not node:
                return None
            node.call("this.scrollIntoView({block: 'nearest', inline: 'nearest'})")
            x, y, w, h = node.box()
            middle = (x + w / 2, y + h / 2)
            if node.call("return !!this.closest('[aria-busy=true]')"):
                return None  # its verb has just changed: it does not hear clicks yet
            free = node.call("const e = document.elementFromPoint(...args);"
                             "return !!e && (this.contains(e) || e.contains(this))", *middle)
            still, last[:] = last == [middle], [middle]
            return middle if free and still and w > 0 and h > 0 else None

        self.mouse(*self.wait(place, f"{role} {name!r} can be clicked", timeout))

    def mouse(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **pressed})

    def hover(self, node):
        x, y, w, h = node.box()
        self.send("Input.dispatchMouseEvent", {
            "type": "mouseMoved", "x": x + w / 2, "y": y + h / 2})

    def away(self):
        """The pointer leaves every list."""
        self.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 700, "y": 4})

    def press(self, key, modifiers=0):
        place = f"Key{key.upper()}" if key.isalpha() else f"Digit{key}" if key.isdigit() else ""
        code, vk, text = KEYS.get(key) or (place, ord(key.upper()), key)
        if modifiers & (ALT | CTRL):
            text = None
        params = {"key": key, "code": code, "windowsVirtualKeyCode": vk, "modifiers": modifiers}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.send("Input.dispatchKeyEvent", {**params, **down})
        self.send("Input.dispatchKeyEvent", {**params, "type": "keyUp"})

    def type(self, text):
        self.send("Input.insertText", {"text": text})

    def tab_to(self, name, most=80):
        """Goes on by Tab until what has the focus is called so."""
        for _ in range(most):
            if self.focus().startswith(name):
                return
            self.press("Tab")
        raise AssertionError(f"{name!r} is not reached by {most} times Tab; the focus is on {self.focus()!r}")

    def downloads(self, directory):
        """What is downloaded goes there."""
        self.browser.send("Browser.setDownloadBehavior", {
            "behavior": "allow", "browserContextId": self.context, "downloadPath": directory})

    def focus(self):
        """What has the focus: its name, or its tag."""
        return self.js("(a => a.getAttribute('aria-label') || a.labels?.[0]?.innerText || a.innerText || a.id || a.tagName)"
                       "(document.activeElement)")

    def shot(self, path):
        data = self.send("Page.captureScreenshot", {"format": "png"}, timeout=30)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
