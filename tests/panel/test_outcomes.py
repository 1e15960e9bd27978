"""What the panel says of rarer things: a call that is over or is others', a target that is called before it
rings, and the less common ends of a transfer; provoked by real SIP, compared word for word."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, talk, wait
from panel import NAMES, customer, display, first, of, open_dialog, send, sign_in_again
from talking import TalkingLab, left_alone, off, offers, target_rings

BOXES = 58   # the peer that has the mailboxes
MAILBOX = "*97777"
SPARE = -2   # the user who is rung when a phone cannot be reached; no case is given this one


class OutcomesLab(TalkingLab):
    """Everybody has the same mailbox."""

    def _users(self):
        super()._users()
        self.sql(f"update segue.users set voicemail = '{MAILBOX}'")


def clocks(began):
    """Each second since then, as the page writes it."""
    return [time.strftime("%H:%M:%S", time.gmtime(t)) for t in range(int(began), int(time.time()) + 2)]


# ---- calls that are over, or others' --------------------------------------------------------------


@tap.case("off: a call that has ended, and when; the focus stays where it was")
def off_ended(lab):
    p, began = lab.page(), time.time()
    c, a = talk(lab)
    button = p.see("button", f"Transfer {customer(c)}", exact=True)
    button.call("this.focus()")
    p.hover(p.see("row", customer(c)))
    end(c, a)
    name = f"Transfer {customer(c)}: ended"
    assert p.see("button", name).off, "a button that is off says so"
    assert p.focus() == name, p.focus()
    p.press("Enter")
    p.wait(lambda: p.has(*(f"The call ended at {t}." for t in clocks(began))), "it says when the call ended")
    assert p.focus() == name, p.focus()
    p.js("document.activeElement.blur()")
    p.away()
    p.gone("row", customer(c))


@tap.case("ended by a click: the row says by whom")
def ended_here(lab):
    p = lab.page()
    c, a = talk(lab)
    p.click("button", f"Hang up: {customer(c)}")
    p.hover(p.see("row", customer(c)))
    p.click("button", f"End call of {customer(c)}")
    c.expect("BYE")
    a.expect("BYE")
    p.see("button", f"Transfer {customer(c)}: ended by you")
    p.away()
    p.gone("row", customer(c))


def in_department(lab, phone, queue):
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('{queue}', '{phone.user}')")
    boss = lab.login("boss")
    wait("the member is known", lambda: phone.user in
         [a["user"] for a in boss.get(f"/agents?queue={queue}").json["agents"]])


@tap.case("not yours: a call of another department, by its address: whose it is, and nothing of the call")
def other_department(lab):
    agent = lab.phone()
    in_department(lab, agent, "sales")
    c, a = talk(lab, agent)
    call = lab.login("boss").call_of(c)["id"]
    p = lab.page("sup", f"#/live/{call}")
    p.allowed.append("403")  # the browser itself reports what was refused
    p.see("region", "Call not shown")
    p.reads(f"{display(lab, agent)}’s call belongs to Sales; you supervise Support.")
    assert customer(c) not in p.says(), p.says()
    end(c, a)


@tap.case("a call that goes to another department has moved on, and has not ended")
def moved_on(lab):
    agent, target = lab.phone(), lab.phone()
    in_department(lab, agent, "support")
    in_department(lab, target, "sales")
    p = lab.page("sup")
    c, a = talk(lab, agent)
    p.hover(p.see("row", f"{customer(c)}: Talking"))
    boss = lab.login("boss")
    assert boss.post(f"/calls/{boss.call_of(c)['id']}/transfer", {"number": target.number}).status == 201
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    off(p, c, "Moved on", f"The call of {customer(c)} goes on with others, whose calls you do not see.")
    end(c, b)


# ---- before it rings, and while it is joined -------------------------------------------------------


@tap.case("stages: the caller is put on hold, the target is called, rings, answers, and is connected")
def stages(lab):
    p = lab.page()
    c, a = talk(lab)
    t = lab.phone()
    who, whose, owner = first(lab, t), of(lab, t), first(lab, a.ua)
    c.manual = {"INVITE"}
    send(p, c, display(lab, t))
    hold = c.expect("INVITE")
    b = t.incoming()
    p.reads(f"Putting {customer(c)} on hold.")
    card = p.see("region", f"{customer(c)} to {display(lab, t)}")
    offered = "return [...this.querySelectorAll('.do button')].map(b => b.innerText).join()"
    assert card.call(offered) == "Cancel", card.text
    c.reply(200, c.fitting(hold.sdp), req=hold)
    c.expect("ACK")
    p.reads(f"Calling {whose} phone. {customer(c)} hears music; {owner} is still on the line.")
    assert "Dialling" in card.text and "Ringing" not in card.text, card.text
    assert f"calling {who}, " in p.see("row", customer(c)).text, "the row says the same"
    b.reply(180)
    p.reads(f"{whose} phone is ringing. {customer(c)} hears music; {owner} is still on the line.")
    assert "Ringing" in card.text and "Dialling" not in card.text, card.text
    assert f"{who} rings, " in p.see("row", customer(c)).text, "the row says the same"
    assert card.call(offered) == "Cancel,Try another", card.text
    b.answer()
    b.expect("ACK")
    join = c.expect("INVITE")
    p.reads(f"{who} answered. Connecting {customer(c)}.")
    assert card.call(offered) == "", card.text
    c.manual = set()
    c.reply(200, c.fitting(join.sdp), req=join)
    c.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    p.reads(f"{customer(c)} is talking with {display(lab, t)}.")
    end(c, b)


# ---- how a transfer ends ---------------------------------------------------------------------------


def outside_fails(lab, p, c, trunk, status):
    """The page sends c to a number of the trunk, which refuses. Returns what was dialled."""
    number = lab.outside(trunk, "0123456")
    send(p, c, number, "Send to 9")
    x = trunk.incoming()
    x.reply(status)
    return number


@tap.case("failed: the line refuses our sign-in; then the number is wrong, and Correct it brings it back")
def line_and_number(lab):
    p = lab.page()
    c, a = talk(lab)
    keeps, trunk = f"{first(lab, a.ua)} keeps {customer(c)}.", lab.trunk()
    outside_fails(lab, p, c, trunk, 407)
    p.reads(f"The line refused our sign-in. {keeps} SIP 407")
    offers(p, f"Try another: {customer(c)}", f"Copy the call id of {customer(c)}")
    p.click("button", "Dismiss")
    number = outside_fails(lab, p, c, trunk, 404)
    p.reads(f"{number} is not a number that can be dialled. {keeps} SIP 404")
    joined(c, a)
    p.click("button", f"Correct it: {customer(c)}")
    field = p.see("combobox", "Name, department or number")
    assert field.call("return this.value") == number, field.call("return this.value")
    p.press("End")
    p.type("7")
    p.click("button", f"Send to {number}7")
    x = trunk.incoming()
    assert x.invite.uri.startswith("sip:01234567@"), x.invite.uri
    x.reply(180)
    x.answer()
    x.expect("ACK")
    joined(c, x)
    a.expect("BYE")
    end(c, x)


@tap.case("refused while it is sent: a class of numbers that is not allowed any more; what was typed stays")
def not_permitted(lab):
    p = lab.page()
    p.allowed.append("403")  # the browser itself reports what was refused
    c, a = talk(lab)
    number = lab.outside(lab.trunk(), "0555777")
    open_dialog(p, c)
    p.type(number)
    p.wait(lambda: "Outside number, local" in p.see("option", f"Dial {number}").name, "its class is said")
    p.see("button", f"Send to {number}")
    lab.sql("insert into segue.number_classes values ('premium', '0555.', '{}')")
    tap.at_end(lambda: lab.sql("delete from segue.number_classes where pattern = '0555.'"))
    boss = lab.login("boss")
    call = boss.call_of(c)["id"]
    wait("it is not allowed", lambda: not boss.get(
        f"/calls/{call}/targets?number={number}").json["targets"][0]["selectable"])
    p.press("Enter")
    p.reads(f"You may not dial premium numbers. {first(lab, a.ua)} keeps {customer(c)}.")
    assert p.see("combobox", "Name, department or number").call("return this.value") == number
    p.press("Escape")
    end(c, a)


@tap.case("the session ends while somebody chooses: signed in again, what was typed is there and goes out")
def session_over(lab):
    p = lab.page()
    p.allowed += ["401", "ERR_INCOMPLETE_CHUNKED"]  # the browser itself reports what was refused, and cut
    c, a = talk(lab)
    t = lab.phone()
    open_dialog(p, c)
    p.type(display(lab, t))
    p.see("button", f"Send to {first(lab, t)}")
    p.js("fetch('api/v1/logout', {method: 'POST', headers: {'X-Segue': 'panel'}}).then(r => r.status)")
    p.press("Enter")
    p.see("dialog", "Sign in again")
    p.reads("Your session has ended")
    p.click("textbox", "User name")
    p.js("document.activeElement.select()")
    p.type("boss")
    sign_in_again(p)
    p.gone("dialog", "Sign in again")
    p.click("button", f"Send to {first(lab, t)}")
    b = t.incoming()
    b.reply(180)
    p.reads(f"{of(lab, t)} phone is ringing.")
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    end(c, b)


@tap.case("the agent has gone, and the phone cannot be reached: somebody else is rung, and answers")
def fell_back_user(lab):
    p = lab.page()
    spare = lab.named(lab.nusers + SPARE)
    spare.register()
    c, agent, b = left_alone(lab, p)
    b.reply(480)
    agent.incoming().reply(486)
    s = spare.incoming()
    s.reply(180)
    p.reads(f"{first(lab, b.ua)} did not answer. {customer(c)} rings at {display(lab, spare)}.")
    offers(p, f"Take back: {customer(c)}")
    s.answer()
    s.expect("ACK")
    joined(c, s)
    end(c, s)


@tap.case("the agent has gone, and nobody takes it: the caller speaks to voicemail, which is moved by no button")
def fell_back_voicemail(lab):
    p = lab.page()
    boxes = lab.trunk(index=BOXES)
    lab.sql("delete from segue.queue_members where queue = 'support'")
    wait("nobody serves it", lambda: not lab.login("boss").get("/agents?queue=support").json["agents"])
    c, agent, b = left_alone(lab, p)
    boss = lab.login("boss")
    b.reply(486)
    agent.incoming().reply(603)
    box = boxes.incoming()
    assert box.invite.uri.startswith(f"sip:{MAILBOX}@"), box.invite.uri
    box.answer()
    box.expect("ACK")
    p.reads(f"Nobody could take it. {customer(c)} is leaving a voicemail.")
    joined(c, box)
    off(p, c, "In voicemail", "The caller is speaking to voicemail.")
    got = boss.post(f"/calls/{boss.call_of(c)['id']}/transfer", {"number": agent.number})
    assert got.status == 409 and got.json["error"]["state"] == "voicemail", got
    end(c, box)


if __name__ == "__main__":
    routes = f'{{ pattern = "*97."; kind = "voicemail"; target = "peer{BOXES:02d}"; }},\n'
    chain = ["recall", f"user:u{len(NAMES) + SPARE:03d}?unreachable", "queue:support", "voicemail"]
    tap.main(lambda: OutcomesLab(routes=routes, fallback=chain), jobs=1)
