"""The panel and a connection that is lost: it says so, and recovers by itself."""
import os
import re
import socket
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, talk
from panel import PanelLab, customer, sign_in

LOST = 15  # seconds: a broken stream is said after 3
NAP = 12  # seconds that the computer sleeps: longer than a page is ever late
BACK = 40  # the longest pause between two tries, and a start of the daemon


@tap.case("kill -9 of segued: since when it is not live, then live again; calls after it are seen")
def killed(lab):
    p = lab.page()
    c, a = talk(lab)
    p.see("row", f"{customer(c)}: Talking")
    p.allowed.append("ERR_")  # the browser itself reports that nobody answers
    lab.daemon.kill()
    p.reads("Connection lost at", LOST)
    p.reads("calls go on. Trying again")
    p.reads("Not live since")
    p.click("button", f"Hang up: {customer(c)}")
    p.click("button", f"End call of {customer(c)}")
    p.reads("Not sent: no connection to segue.")
    lab.start()
    p.reads("Live again.", BACK)  # for 5 s: the phones can wait
    lab.wait_ready()
    p.gone("button", "Try now")
    p.reads("kept over a restart")
    assert len(p.find_all("row", customer(c))) == 1, "once, not twice"
    d, e = talk(lab)
    p.see("row", f"{customer(d)}: Talking")
    end(d, e)


@tap.case("a restart in good order: the session goes on, nothing is doubled")
def restarted(lab):
    p = lab.page()
    p.allowed.append("ERR_")
    c, a = talk(lab)
    p.see("row", customer(c))
    end(c, a)
    lab.daemon.stop()
    p.reads("Connection lost at", LOST)
    lab.start()
    p.reads("Live again.", BACK)  # for 5 s: the phones can wait
    lab.wait_ready()
    d, e = talk(lab)
    p.see("row", customer(d))
    assert len(p.find_all("row", customer(d))) == 1
    end(d, e)


class Proxy:
    """Hands connections on to a port; when it is `bad` it answers 502 by itself, and cuts what is open."""

    def __init__(self, port):
        self.port, self.bad, self.open, self.dead = port, False, [], set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        if self.bad:
            conn.recv(65536)
            conn.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            conn.close()
            return
        behind = socket.create_connection(("127.0.0.1", self.port))
        self.open += [conn, behind]
        threading.Thread(target=self._pump, args=(behind, conn), daemon=True).start()
        self._pump(conn, behind)

    def _pump(self, a, b):
        try:
            while data := a.recv(65536):
                if a not in self.dead:
                    b.sendall(data)
            if a not in self.dead:
                b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def turn(self, bad):
        self.bad = bad
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []

    def die(self):
        """What is open now carries nothing any more, and nobody is told: as after a change of network."""
        self.dead = set(self.open)

    def close(self):
        self.listener.close()
        self.turn(True)


@tap.case("a proxy that answers 502 for a while, which ends an EventSource for good: live again by itself")
def bad_gateway(lab):
    proxy = Proxy(lab.http_port)
    tap.at_end(proxy.close)
    p = lab.browser.page("http://{}:{}/".format(*proxy.address))
    tap.at_end(lambda: lab.browser.send("Target.closeTarget", {"targetId": p.target}))
    sign_in(lab, p, "boss")
    c, a = talk(lab)
    p.see("row", f"{customer(c)}: Talking")
    p.allowed += ["502", "ERR_"]
    proxy.turn(bad=True)
    p.reads("Connection lost at", LOST)
    p.click("button", "Try now")
    p.reads("Trying again")
    end(c, a)
    d, e = talk(lab)
    proxy.turn(bad=False)
    p.reads("Live again.", BACK)
    p.see("row", f"{customer(d)}: Talking")
    assert not p.find("row", f"{customer(c)}: Talking"), "what ended meanwhile is gone"
    assert not p.unexpected(), p.unexpected()
    end(d, e)


def shown_length(p, c):
    """The duration in the row of that call, in seconds."""
    minutes, seconds = re.search(r"\b(\d\d):(\d\d)\b", p.see("row", customer(c)).text).groups()
    return 60 * int(minutes) + int(seconds)


@tap.case("the computer sleeps, and its connections die unheard: live again at once, nothing missed or doubled")
def sleep(lab):
    proxy = Proxy(lab.http_port)
    tap.at_end(proxy.close)
    p = lab.browser.page("http://{}:{}/".format(*proxy.address))
    tap.at_end(lambda: lab.browser.send("Target.closeTarget", {"targetId": p.target}))
    tap.note(lambda: f"the page says:\n{p.says()}\ncomplaints: {p.complaints}")
    sign_in(lab, p, "boss")
    began = time.monotonic()
    c, a = talk(lab)
    talking = time.monotonic()
    d, e = talk(lab)
    for x in (c, d):
        p.see("row", f"{customer(x)}: Talking")
    tap.at_end(lambda: lab.browser.sleep(awake=True))
    lab.browser.sleep(awake=False)
    proxy.die()
    end(d, e)
    f, g = talk(lab)
    time.sleep(NAP)  # what is tested is that time passes
    lab.browser.sleep(awake=True)
    p.reads("Live again.", BACK)
    p.see("row", f"{customer(f)}: Talking")
    p.gone("row", f"{customer(d)}: Talking")
    for x in (c, f):
        assert len(p.find_all("row", customer(x))) == 1, "once, not twice"
    slept = time.monotonic() - talking - 2  # it ticks once a second
    p.wait(lambda: shown_length(p, c) >= slept, f"the sleep of {slept:.0f} s has been made up for")
    length = shown_length(p, c)
    assert length <= time.monotonic() - began, length
    assert not p.unexpected(), p.unexpected()
    end(c, a)
    end(f, g)


@tap.case("a session that ends asks for the password over the page, which stays")
def session(lab):
    p = lab.page()
    p.allowed.append("401")
    p.click("button", "Light or dark")
    p.js("fetch('api/v1/logout', {method: 'POST', headers: {'X-Segue': 'panel'}}).then(r => r.status)")
    p.js("document.querySelector('a[href=\"#/log\"]').click()")
    p.reads("Your session has ended")
    p.click("textbox", "User name")
    p.type("boss")
    p.click("textbox", "Password")
    p.type("correct horse")
    p.press("Enter")
    p.gone("dialog", "Sign in again")
    p.see("heading", "Call log")


if __name__ == "__main__":
    tap.main(lambda: PanelLab(t={"ring": 60000, "setup": 120000}), jobs=1)
