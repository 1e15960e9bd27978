"""The panel and a connection that is lost: it says so, and recovers by itself."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, talk
from panel import PanelLab, customer

LOST = 15  # seconds: a broken stream is said after 3
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
    lab.start()
    p.reads("Live again.", BACK)  # for 5 s: the phones can wait
    lab.wait_ready()
    p.gone("button", "Try now")
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


@tap.case("a session that ends asks for the password over the page, which stays")
def session(lab):
    p = lab.page()
    p.allowed.append("401")
    p.js("fetch('api/v1/logout', {method: 'POST', headers: {'X-Segue': 'panel'}}).then(r => r.status)")
    p.click("button", "Light or dark")
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
    tap.main(PanelLab, jobs=1)
