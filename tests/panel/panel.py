"""panel: segued, the panel that it serves, and somebody who uses it, for tests."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import segued
import tap
from browser import Browser
from flows import wait
from web import PASSWORD, WebLab


FIRST = """Alice Bob Carol Dan Erin Farid Grace Hugo Ines Jonas Kofi Lucia Mei Nils Omar Petra Quinn Rosa
Sam Tara Umar Vera Wim Ximena Yara Zeno Anton Bela Cleo Dora Emil Fleur Goran Hana Igor Jutta Kai Lena
Milo Nora Otto Paula Rita Sven Tilda Uma Viktor Wanda Xaver Yusuf Zora Arne Britt Cara Dirk Elsa""".split()
LAST = """Novak Meyer Diaz Osei Walsh Haddad Lin Marsh Faria Berg Mensah Prat Chen Borg Nasser Wolf
Sato Klein""".split()
NAMES = [f"{first} {LAST[i % len(LAST)]}" for i, first in enumerate(FIRST)]  # of the lab's users, in order


class PanelLab(WebLab):
    """A WebLab that serves the panel of the source tree, and a browser. Its users have names as people
    do, so that a sentence says whom it means."""

    def __init__(self, **kw):
        super().__init__(**{"users": len(NAMES), **kw})

    def config(self):
        return super().config().replace(f'panel_dir = "{self.dir}/panel"',
                                        f'panel_dir = "{segued.SRC}/src/panel"')

    def _users(self):
        super()._users()
        self.sql("update segue.users u set display_name = n.name from (values "
                 + ", ".join(f"('u{i:03d}', '{name}')" for i, name in enumerate(NAMES))
                 + ") n (id, name) where u.name = n.id")

    def __enter__(self):
        super().__enter__()
        self.browser = Browser()
        return self

    def __exit__(self, *exc, **kw):
        if getattr(self, "browser", None):
            self.browser.close()
        super().__exit__(*exc, **kw)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http_port}/"

    def page(self, user="boss", place="", **kw):
        """A page on which that user is signed in; what it complains about fails the case."""
        p = self.browser.page(self.url + place, **kw)
        tap.at_end(lambda: quiet(self, p))
        tap.note(lambda: f"the page says:\n{p.says()}\ncomplaints: {p.complaints}")
        sign_in(self, p, user)
        return p


def quiet(lab, p):
    elsewhere = [r for r in p.requests if not r.startswith((lab.url, "data:"))]
    bad = p.unexpected() + elsewhere
    lab.browser.send("Target.closeTarget", {"targetId": p.target})
    assert not bad, f"the page complained: {bad}"


def sign_in(lab, p, user, password=PASSWORD):
    lab.login(user)  # gives a password to users who have none
    p.click("textbox", "User name")
    p.type(user)
    p.click("textbox", "Password")
    p.type(password)
    p.click("button", "Sign in")
    p.see("heading", None)
    p.wait(lambda: p.find("link", "Live calls") or p.find("region", "Live calls"), "the panel is open")


def sign_in_again(p):
    p.click("textbox", "Password")
    p.js("document.activeElement.select()")
    p.type(PASSWORD)
    p.press("Enter")


def customer(c):
    """What the page calls the customer of a call of a Ua: its number, in groups."""
    n = c.ua.user
    return f"{n[:3]} {n[3:5]} {n[5:8]} {n[8:]}" if n.startswith("+49") else n


def display(lab, phone):
    """The name that the directory gives to the user of a phone."""
    return NAMES[int(phone.user[1:])]


def first(lab, phone):
    return display(lab, phone).split()[0]


def of(lab, phone):
    """Bob’s, Ines’"""
    name = first(lab, phone)
    return name + ("’" if name.endswith("s") else "’s")


def member(lab, phone, queue):
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('{queue}', '{phone.user}')")
    boss = lab.login("boss")
    wait("the member is known", lambda: phone.user in
         [a["user"] for a in boss.get(f"/agents?queue={queue}").json["agents"]])


def middle(node):
    x, y, w, h = node.box()
    return x + w / 2, y + h / 2


def open_dialog(p, c):
    p.click("button", f"Transfer {customer(c)}", exact=True)
    p.see("combobox", "Name, department or number")


def send(p, c, what, button=None):
    """Sends the call to what is found by typing that."""
    open_dialog(p, c)
    p.type(what)
    p.click("button", button or "Send to")
    p.gone("combobox", "Name, department or number")


def reads_span(p, text, began):
    """Until that can be read, with the span of something, which began then or later, for SPAN."""
    p.wait(lambda: p.has(*(text.replace("SPAN", f"{s // 60}:{s % 60:02d}")
                           for s in range(int(time.monotonic() - began) + 1))), f"the page says {text!r}")


def in_the_log(lab, p, c, led, outcome):
    """The log has the conversation, and its page the figures and bars of the ledger."""
    p.press("g")
    p.press("c")
    p.see("table", "Call log")
    p.reads(outcome)
    p.click("link", customer(c))
    p.see("group", "Score")
    p.see("heading", customer(c))
    pairs = "map(e => [e.dataset.sum || e.dataset.state, Number(e.dataset.ms)])"
    shown = dict(p.js(f"[...document.querySelectorAll('[data-sum]')].{pairs}"))
    for name, ms in shown.items():
        assert led.conversation[name] == ms, (name, ms, led.conversation[name])
    assert sum(ms for name, ms in shown.items() if name != "total_ms") == shown["total_ms"], shown
    drawn = p.js(f"[...document.querySelectorAll('.paper rect[data-state]')].{pairs}")
    for i in led.intervals:
        seg = next(x for x in led.segments if x["id"] == i["segment_id"])
        if i["duration_ms"] and (seg["answered_at"] or seg["kind"] == "queue"):
            assert [i["state"], i["duration_ms"]] in drawn, (i, drawn)
    p.see("image", "Transfer 1 to")
    p.reads(outcome)


def reach(p, c):
    """Goes to the row of the call by keys: Tab into the list, arrows within it."""
    p.js("document.querySelector('main').focus()")
    for _ in range(40):
        p.press("Tab")
        if p.js("!!document.activeElement.closest('tr[data-id]')"):
            break
    p.press("Home")
    for _ in range(60):
        if p.js("document.activeElement.getAttribute('aria-label') || ''").startswith(customer(c)):
            return
        p.press("ArrowDown")
    raise AssertionError(f"the row of {customer(c)} is not reached by keys; the focus is on {p.focus()!r}")
