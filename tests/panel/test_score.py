"""The drawn conversation while it goes on, nearer and wider, and joined with another one; and what is told of
people beside it: who finishes notes, who has been busy for long."""
import os
import re
import sys
import time
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from browser import CTRL
from flows import a_while, arrived, end, joined, pick_up, refer, ring, talk, wait
from panel import PanelLab, customer, display, first, open_dialog

LONG_S = 2


def bar(p, name):
    """The first bar that is called so: where it begins and ends, in pixels of the page, and how long it is."""
    node = p.see("image", name)
    return node.call("const r = this.getBoundingClientRect();"
                     "return {from: r.left, to: r.right, wide: r.width, ms: Number(this.dataset.ms)}")


def paper(p):
    return p.see("group", "Score").call("const r = this.querySelector('svg').getBoundingClientRect();"
                                        "return {from: r.left, to: r.right, wide: r.width, y: r.top + 60}")


def conversation(lab, c):
    return f"#/log/{lab.conversation(c, final=False)['id']}"


@tap.case("a conversation that goes on grows at its right edge, once a second, and gets a lane for who is new")
def grows(lab):
    c, a = talk(lab)
    p = lab.page(place=conversation(lab, c))
    talks = f"{customer(c)}: Talking"
    before = bar(p, talks)
    p.wait(lambda: bar(p, talks)["ms"] >= before["ms"] + 2000, "it grows")
    p.reads("so far")
    edge = paper(p)["to"]
    assert abs(bar(p, talks)["to"] - edge) < 3, (bar(p, talks), edge)
    target = lab.phone()
    boss = lab.login("boss")
    assert boss.post(f"/calls/{boss.call_of(c)['id']}/transfer", {"number": target.number}).status == 201
    b = target.incoming()
    b.reply(180)
    p.see("image", f"{display(lab, target)}: Ringing")
    p.see("image", f"{customer(c)}: On hold, music")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    p.see("image", f"{display(lab, target)}: Talking")
    p.see("image", f"Transfer 1 to {display(lab, target)}")
    end(c, b)
    p.reads("adds up to")
    led = lab.ledger(c)
    total = p.js("Number(document.querySelector('[data-sum=total_ms]').dataset.ms)")
    assert total == led.conversation["total_ms"], (total, led.conversation)


def finger(p, kind, *points):
    p.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
        {"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]})


@tap.case("the score nearer and wider: by keys, buttons, wheel with Ctrl, two fingers; panned by arrows and mouse")
def zooms(lab):
    c, a = talk(lab)
    time.sleep(1.2)  # somebody talks for a second
    end(c, a)
    lab.ledger(c)
    p = lab.page(place=conversation(lab, c))
    talks = f"{customer(c)}: Talking"
    whole = bar(p, talks)
    p.hover(p.see("image", talks))
    p.reads(f"{talks} ")  # the note beside it: what it is, from when to when, how long
    p.wait(lambda: re.search(r"\d\d:\d\d:\d\d to \d\d:\d\d:\d\d, 0:0\d\.\d{3}", p.says()), "its figures are read")
    p.see("group", "Score").call("this.focus()")

    def is_wide(least, most=1e9):
        return p.wait(lambda: least < bar(p, talks)["wide"] / whole["wide"] < most and bar(p, talks),
                      f"it is {least} to {most} times as wide as at first")

    p.press("+")
    near = is_wide(1.5)
    p.press("ArrowRight")
    p.wait(lambda: bar(p, talks)["from"] < near["from"] - 1, "it moves")
    p.press("-")
    is_wide(0.99, 1.01)
    p.click("button", "Nearer")
    is_wide(1.5)
    p.click("button", "Wider")
    is_wide(0.99, 1.01)
    box = paper(p)
    middle = (box["from"] + box["to"]) / 2
    p.send("Input.dispatchMouseEvent", {"type": "mouseWheel", "x": middle, "y": box["y"], "deltaX": 0,
                                        "deltaY": -120, "modifiers": CTRL})
    near = is_wide(1.1)
    for kind, x, buttons in (("mousePressed", middle, 1), ("mouseMoved", middle - 60, 1),
                             ("mouseReleased", middle - 60, 0)):
        p.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": box["y"], "button": "left",
                                            "buttons": buttons, "clickCount": 1})
    p.wait(lambda: bar(p, talks)["from"] < near["from"] - 20, "it was dragged")
    p.see("group", "Score").call("this.focus()")
    p.press("0")
    is_wide(0.99, 1.01)
    p.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    apart = lambda d: [(middle - d, box["y"]), (middle + d, box["y"])]
    finger(p, "touchStart", *apart(40))
    for d in (50, 65, 80, 100):
        finger(p, "touchMove", *apart(d))
    finger(p, "touchEnd")
    near = is_wide(1.8)
    finger(p, "touchStart", (middle, box["y"]))
    for d in (20, 50, 80):
        finger(p, "touchMove", (middle - d, box["y"]))
    finger(p, "touchEnd")
    p.wait(lambda: bar(p, talks)["from"] < near["from"] - 20, "one finger moves it")


@tap.case("two conversations that became one: the lanes of the other are marked, and the thread says so")
def merged(lab):
    agent, target = lab.phone(), lab.phone()
    p = lab.page()
    c, a = talk(lab, agent)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    a2, b = ring(agent, target.number, target)
    pick_up(a2, b)
    arrived(a2)
    a_while()
    p.see("row", f"{agent.number}: Talking, {display(lab, target)}")  # the page has heard of the other one
    p.hover(p.see("row", customer(c)))  # no row goes while the pointer is there
    replaces = quote(f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}", safe="")
    refer(lab, a, f"<sip:{target.number}@{lab.domain}?Replaces={replaces}>")
    joined(c, b)
    for x in (a, a2):
        if not x.ended:
            x.expect("BYE")
    p.see("row", f"{customer(c)}: Talking, {display(lab, target)}")
    p.see("row", ": Joined")
    p.see("button", ": joined")
    end(c, b)
    lab.ledger(c)
    p.js(f"location.hash = '{conversation(lab, c)}'")
    p.see("group", "Score")
    p.reads("Joined with a conversation of")
    p.reads("Another conversation began that was joined with this one")
    p.see("image", f"{display(lab, target)}: Talking")
    p.see("image", f"Transfer 1 to {display(lab, target)}")


@tap.case("who has just had a call finishes notes, for so long; who has been busy for long is marked")
def notes_and_long(lab):
    member, other = lab.phone(), lab.phone()
    lab.sql("insert into segue.queues (name, number, display_name, wrapup_ms) values "
            f"('desk', '4010', 'Help desk', 600000);"
            f"insert into segue.queue_members (queue, user_name) values ('desk', '{member.user}')")
    boss = lab.login("boss")
    wait("the member is known", lambda: boss.get("/agents?queue=desk").json["agents"])
    p = lab.page(place="#/queues")
    c = lab.trunk().invite("4010")
    a = member.incoming()
    a.reply(180)
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    joined(c, a)
    p.see("button", f"{display(lab, member)} On a call")
    person = lambda: p.find("button", f"{display(lab, member)} On a call").text
    p.wait(lambda: f"long: {customer(c)}" in person(), f"it is long after {LONG_S} s")
    end(c, a)
    p.see("button", f"{display(lab, member)} finishing notes")
    p.reads("finishing notes, 9:")
    p.js("location.hash = '#/live'")
    d, e = talk(lab, other)
    open_dialog(p, d)
    p.type(display(lab, member))
    p.click("option", display(lab, member))
    p.wait(lambda: "Finishing notes" in p.find("option", display(lab, member)).text, "it says why")
    p.see("button", f"Ring {first(lab, member)} anyway")
    p.press("Escape")
    end(d, e)


if __name__ == "__main__":
    tap.main(lambda: PanelLab(t={"ring": 60000}, http=f'long_call = "{LONG_S}s";'), jobs=1)
