"""The panel in a browser: the built daemon, PostgreSQL, scripted phones, and Chromium.

Elements are found by role and name only. After every case the page must have had no complaint: no
console line, no exception, nothing refused by its policy, no request to anywhere else.
"""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import segued
import tap
from browser import ALT, SHIFT, Browser
from flows import end, joined, pick_up, ring, talk, wait
from web import PASSWORD, WebLab

LOAD_MAX = 150 * 1024  # bytes until the page can be used
SHOTS = os.environ.get("SEGUE_PANEL_SHOTS")  # a directory: pictures for README and docs


class PanelLab(WebLab):
    """A WebLab that serves the panel of the source tree, and a browser."""

    def config(self):
        return super().config().replace(f'panel_dir = "{self.dir}/panel"', f'panel_dir = "{segued.SRC}/src/panel"')

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


@tap.case("sign in: a wrong password is said in a sentence; then in, and the load is small")
def signs_in(lab):
    p = lab.browser.page(lab.url)
    tap.at_end(lambda: quiet(lab, p))
    p.allowed.append("401")  # the browser itself reports the refused log-in
    started = time.monotonic()
    lab.login("boss")
    p.click("textbox", "User name")
    p.type("boss")
    p.click("textbox", "Password")
    p.type("wrong")
    p.press("Enter")
    p.reads("That name and password do not match.")
    sign_in_again(p)
    p.reads("All live")
    tap.note(lambda: f"{time.monotonic() - started:.1f} s")
    files = [size for url, size in p.sizes.values() if "/api/" not in url]
    total = sum(files)
    print(f"# page load: {total} bytes in {len(files)} files", flush=True)
    assert total < LOAD_MAX, f"{total} bytes: {p.sizes}"


def sign_in_again(p):
    p.click("textbox", "Password")
    p.js("document.activeElement.select()")
    p.type(PASSWORD)
    p.press("Enter")


def customer(c):
    """What the page calls the customer of a call of a Ua."""
    return c.ua.user


@tap.case("a SIP call appears within a second, rings, talks, ticks, and its row goes")
def appears(lab):
    p = lab.page()
    p.reads("Live calls")
    agent, trunk = lab.phone(), lab.trunk()
    began = time.monotonic()
    c, a = ring(trunk, agent.number, agent)
    p.see("row", customer(c), timeout=1)
    print(f"# seen {1000 * (time.monotonic() - began):.0f} ms after the INVITE was sent", flush=True)
    off = p.see("button", f"Transfer {customer(c)}: not answered yet")
    assert off.off, "a button that is off says so"
    p.click("button", f"Transfer {customer(c)}: not answered yet")
    p.reads("Nobody has answered yet. You can transfer as soon as User answers.")
    pick_up(c, a)
    p.see("button", f"Transfer {customer(c)}", exact=True)
    row = p.see("row", customer(c))
    assert "Talking" in row.name and display(lab, agent) in row.name, row
    before = row.text
    p.wait(lambda: p.see("row", customer(c)).text != before, "the duration ticks", 3)
    end(c, a)
    p.reads("Ended 0:0")
    p.away()
    p.gone("row", customer(c), 10)


def display(lab, phone):
    """The name that the directory gives to the user of a phone."""
    return "User " + str(int(phone.user[1:]))


def open_dialog(p, c):
    p.click("button", f"Transfer {customer(c)}", exact=True)
    p.see("combobox", "Name, department or number")


def send(p, c, what, button=None):
    """Sends the call to what is found by typing that."""
    open_dialog(p, c)
    p.type(what)
    p.click("button", button or "Send to")
    p.gone("combobox", "Name, department or number")


@tap.case("transfer to a user: two clicks, followed to its outcome; the log has it with the same sums")
def to_user(lab):
    p = lab.page()
    c, a = talk(lab)
    target = lab.phone()
    send(p, c, display(lab, target))
    b = target.incoming()
    b.reply(180)
    p.reads("User’s phone is ringing.")
    p.see("row", customer(c))
    p.see("button", f"Cancel: {customer(c)}")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    p.reads(f"{customer(c)} is talking with {display(lab, target)}.")
    row = p.wait(lambda: [r for r in [p.see("row", customer(c))] if display(lab, target) in r.name], "the row has the new party")[0]
    assert "Talking" in row.name
    time.sleep(1.1)  # somebody talks for a second
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "completed" and led.transfers[0]["asked_via"] == "panel", led


@tap.case("transfer to an outside number that was typed")
def to_number(lab):
    p = lab.page()
    c, a = talk(lab)
    outside = lab.trunk()
    send(p, c, lab.outside(outside, "0123456"), "Send to 9")
    b = outside.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    p.reads("is talking with")
    end(c, b)


@tap.case("a target that declines: who has the caller, SIP 603, the call id; then another one answers")
def another(lab):
    p = lab.page()
    c, a = talk(lab)
    first, second = lab.phone(), lab.phone()
    send(p, c, display(lab, first))
    b = first.incoming()
    b.reply(180)
    p.reads("phone is ringing.")
    b.reply(603)
    p.reads(f"declined. User keeps {customer(c)}. SIP 603")
    p.see("button", f"Copy the call id of {customer(c)}")
    joined(c, a)
    p.click("button", f"Try another: {customer(c)}")
    p.see("combobox", "Name, department or number")
    p.type(display(lab, second))
    p.press("Enter")
    d = second.incoming()
    d.reply(180)
    d.answer()
    d.expect("ACK")
    joined(c, d)
    a.expect("BYE")
    p.reads(f"{customer(c)} is talking with {display(lab, second)}.")
    end(c, d)


@tap.case("cancel: the agent keeps the caller, and the place of the button is deaf for a moment")
def cancel(lab):
    p = lab.page()
    c, a = talk(lab)
    target = lab.phone()
    send(p, c, display(lab, target))
    b = target.incoming()
    b.reply(180)
    p.reads("phone is ringing.")
    time.sleep(0.8)  # a place whose verb has just changed does not hear clicks
    p.click("button", f"Cancel: {customer(c)}")
    b.expect("CANCEL")
    p.reads(f"You cancelled. User keeps {customer(c)}.")
    joined(c, a)
    p.see("button", f"Transfer {customer(c)}", exact=True)
    end(c, a)


@tap.case("hang up: asked once, Keep stands under the first click; then it ends")
def hang_up(lab):
    p = lab.page()
    c, a = talk(lab)
    p.click("button", f"Hang up: {customer(c)}")
    p.see("button", f"Keep call of {customer(c)}")
    p.press("Enter")  # the focus is on Keep
    p.see("button", f"Hang up: {customer(c)}")
    p.click("button", f"Hang up: {customer(c)}")
    p.click("button", f"End call of {customer(c)}")
    c.expect("BYE")
    a.expect("BYE")
    p.reads("was ended by you.")
    p.away()
    p.gone("row", customer(c), 10)


@tap.case("the keyboard alone: transfer, cancel, hang up; the focus never falls out of the page")
def keyboard(lab):
    p = lab.page()
    c, a = talk(lab)
    target = lab.phone()
    p.see("row", customer(c))
    reach(p, c)
    p.press("t")
    p.wait(lambda: p.find("combobox", "Name, department or number"), "T opens the dialog")
    p.type(display(lab, target))
    p.press("Enter")
    b = target.incoming()
    b.reply(180)
    p.reads("phone is ringing.")
    assert p.focus() != "BODY", "the focus came back to the list"
    time.sleep(0.8)
    reach(p, c)
    p.press("c")
    b.expect("CANCEL")
    joined(c, a)
    p.reads("You cancelled.")
    reach(p, c)
    p.press("x")
    p.see("button", f"Keep call of {customer(c)}")
    p.press("Tab", SHIFT)
    p.press("Enter")
    c.expect("BYE")
    a.expect("BYE")


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


tap.main(PanelLab, jobs=3)
