"""What the panel says: each row of the two tables of its design, provoked by real SIP, and its sentence
compared word for word. One page looks on; elements are found by role and name."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from ua import Sdp
from flows import end, joined, pick_up, ring, talk, wait
from browser import ALT
from panel import customer, display, first, of, open_dialog, reads_span
from talking import ANNOUNCER, RING_S, TalkingLab, left_alone, off, offers, target_rings

FAX = ("v=0\r\no=ua 7 {v} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
       "m=image {p} udptl t38\r\na=T38FaxVersion:0\r\n")


# ---- why Transfer is off ----------------------------------------------------------------------


@tap.case("off: nobody has answered; a caller who waits; a call that is over")
def off_labels(lab):
    p, agent = lab.page(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    off(p, c, "Not answered yet",
        f"Nobody has answered yet. You can transfer as soon as {first(lab, agent)} answers.")
    c.cancel()
    c.expect(487, method="INVITE")
    member = lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('sales', '{member.user}')")
    wait("the member is known", lambda: lab.login("boss").get("/agents?queue=sales").json["agents"])
    c = lab.trunk().invite("4002")
    member.incoming().reply(180)
    off(p, c, "No agent yet", "No agent is on this call yet. A caller who waits is moved in Queues.")
    p.js("location.hash = '#/queues/sales'")
    p.click("button", f"Move to …: {customer(c)}")
    p.see("combobox", "Name, department or number")
    p.press("Escape")
    p.js("location.hash = '#/live'")
    c.cancel()
    c.expect(487, method="INVITE")
    began = time.monotonic()
    c, a = talk(lab)
    p.see("button", f"Transfer {customer(c)}", exact=True)
    p.hover(p.see("row", customer(c)))
    end(c, a)
    reads_span(p, "Ended SPAN", began)
    p.away()
    p.gone("row", customer(c))


@tap.case("off: the caller chooses in a menu")
def off_menu(lab):
    p = lab.page()
    c, a = talk(lab)
    menu = lab.trunk()
    lab.sql("insert into segue.ivrs (name, number, peer, dial, display_name) values "
            f"('pay', '8000', 'peer{menu.index:02d}', '8000', 'Payment line')")
    open_dialog(p, c)
    p.type("payment")
    p.click("button", "Send to Payment line")
    x = menu.incoming()
    x.reply(180)
    x.answer()
    x.expect("ACK")
    joined(c, x)
    off(p, c, "Still in the menu", "The caller is choosing in the menu. You can transfer once an agent answers.")
    p.see("row", f"{customer(c)}: In menu, Payment line")
    boss = lab.login("boss")
    call = boss.call_of(c)["id"]
    for number in (a.ua.number, "8000"):  # the reason is the server's: nobody gets past it
        got = boss.post(f"/calls/{call}/transfer", {"number": number})
        assert got.status == 409 and got.json["error"]["state"] == "menu", got
    targets = boss.get(f"/calls/{call}/targets").json["targets"]
    assert not any(t["selectable"] or t["available"] for t in targets), targets
    end(c, x)


@tap.case("off: a fax is being sent")
def off_fax(lab):
    p = lab.page()
    c, a = talk(lab)
    p.see("button", f"Transfer {customer(c)}", exact=True)
    a.manual = {"INVITE"}
    sent = c.do_invite(Sdp(raw=FAX.format(v=2, p=40100), port=40100))
    req = a.expect("INVITE")
    a.reply(200, Sdp(raw=FAX.format(v=2, p=42100), port=42100), req=req)
    c.expect(200, method="INVITE")
    c.ack(cseq=sent.cseq)
    a.expect("ACK")
    off(p, c, "Sending a fax", "A fax is being sent; it would break.")
    end(c, a)


@tap.case("denied: a call of somebody else, by its address: why, and nothing of the call")
def denied(lab):
    c, a = talk(lab)
    call = lab.login("boss").call_of(c)["id"]
    stranger = lab.phone()
    p = lab.page(stranger.user, f"#/live/{call}")
    p.allowed.append("403")  # the browser itself reports what was refused
    p.see("region", "Call not shown")
    p.reads("This call is not one of yours. Agents see the calls that they are on.")
    assert customer(c) not in p.says() and display(lab, a.ua) not in p.says(), p.says()
    p.click("button", "Close")
    p.gone("region", "Call not shown")
    end(c, a)


@tap.case("off: a transfer is running: Cancel stands in the place; T says why")
def off_running(lab):
    p = lab.page()
    c, a = talk(lab)
    b = target_rings(lab, p, c, a)
    p.see("button", f"Cancel: {customer(c)}")
    row = p.see("row", customer(c))
    row.call("this.focus()")
    p.press("t")
    p.reads(f"A transfer to {first(lab, b.ua)} is running. Cancel it first, or try another from there.")
    c.hangup()
    p.reads(f"{customer(c)} hung up before {first(lab, b.ua)} answered. Nobody was connected.")


@tap.case("off: a role that may not transfer; an admin is named")
def off_role(lab):
    agent = lab.phone()
    lab.sql(f"update segue.users set may_transfer = false where name = '{agent.user}'")
    p = lab.page(agent.user, "#/live")
    c, a = talk(lab, agent)
    off(p, c, "Not allowed", "Your role cannot transfer. Ask an admin for “transfer calls”.")
    end(c, a)


# ---- how a transfer ends ------------------------------------------------------------------------


@tap.case("failed: busy, declined, unreachable, no audio format, our sign-in, a loop, an error of ours")
def failed(lab):
    p = lab.page()
    c, a = talk(lab)
    keeps = f"{first(lab, a.ua)} keeps {customer(c)}."
    says = {486: "{of} phone is busy.", 603: "{first} declined.", 480: "{of} phone cannot be reached.",
            488: "{of} phone and the caller share no audio format.", 482: "The number leads back to segue.",
            500: "Something broke on our side."}
    for status, sentence in says.items():
        b = target_rings(lab, p, c, a)
        b.reply(status)
        p.reads(f"{sentence.format(first=first(lab, b.ua), of=of(lab, b.ua))} {keeps} SIP {status}")
        p.see("button", f"Copy the call id of {customer(c)}")
        offers(p, f"Try another: {customer(c)}")
        joined(c, a)
        p.click("button", "Dismiss")
        p.gone("region", "Transfer ended")
    end(c, a)


@tap.case("failed: no answer within the time; the caller's department is offered")
def no_answer(lab):
    p = lab.page()
    member = lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('support', '{member.user}')")
    wait("the member is known", lambda: lab.login("boss").get("/agents?queue=support").json["agents"])
    c = lab.trunk().invite("4001")
    a = member.incoming()
    a.reply(180)
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    b = target_rings(lab, p, c, a)
    cancel = b.expect("CANCEL", 2 * RING_S)
    ring = next(m for way, m in b.ua.log if way == "->" and m.status == 180)
    rang = cancel.at - ring.at  # RING_S, and as much less as the 180 was late
    p.reads_one(*(f"{first(lab, b.ua)} did not answer within {round(s)} s. {first(lab, a.ua)} keeps "
                  f"{customer(c)}. SIP 408" for s in (rang - 0.3, rang + 0.3)))
    joined(c, a)
    began = time.monotonic()
    p.click("button", f"Send to Support: {customer(c)}")
    a.expect("BYE")
    p.reads(f"{customer(c)} waits in Support, 1st in line. {first(lab, a.ua)} was released.")
    p.see("link", f"Open queue: {customer(c)}")
    again = member.incoming()
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    reads_span(p, f"{display(lab, member)} answered {customer(c)} after SPAN", began)
    p.reads("in Support.")
    end(c, again)


@tap.case("refused: a number that nobody has, a class that is not allowed: said in the dialog, which stays")
def refused(lab):
    p = lab.page()
    p.allowed.append("404")  # the browser itself reports it, if Enter was faster than the look-up
    c, a = talk(lab)
    lab.sql("insert into segue.number_classes values ('premium', '0900.', '{}')")
    open_dialog(p, c)
    p.type("0800 1")
    p.see("option", "Dial 0800 1")
    p.press("Enter")
    p.reads("Not a number that can be dialled")
    assert p.find("dialog"), "what was typed stays"
    p.press("Escape")
    p.gone("dialog", "Transfer")
    end(c, a)


@tap.case("completed, cancelled by somebody else, abandoned, and the customer who leaves a consultation")
def endings(lab):
    p = lab.page()
    began = time.monotonic()
    c, a = talk(lab)
    b = target_rings(lab, p, c, a)
    other = lab.login("sup2")
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('sales', '{a.ua.user}')")
    call = lab.login("boss").call_of(c)["id"]
    wait("the supervisor of sales sees it", lambda: other.get(f"/calls/{call}").status == 200)
    assert other.post(f"/calls/{call}/cancel").status == 200
    b.expect("CANCEL")
    p.reads(f"Sup cancelled. {first(lab, a.ua)} keeps {customer(c)}.")
    p.click("button", "Dismiss")
    b = target_rings(lab, p, c, a)
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    reads_span(p, f"{customer(c)} is talking with {display(lab, b.ua)}. {first(lab, a.ua)} was released "
               "after SPAN", began)
    end(c, b)
    c, a = talk(lab)
    t = lab.phone()
    open_dialog(p, c)
    p.press("a", ALT)
    p.type(display(lab, t))
    p.click("button", f"Ask {first(lab, t)}")
    b = t.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    p.reads(f"{first(lab, a.ua)} and {first(lab, t)} are talking. {customer(c)} hears music.")
    c.hangup()
    p.reads(f"{customer(c)} hung up. {first(lab, a.ua)} and {first(lab, t)} are still talking.")
    end(a, b)


@tap.case("the agent has gone: nobody takes it, the agent is rung again and has the caller back")
def recalled(lab):
    p = lab.page()
    c, agent, b = left_alone(lab, p)
    b.reply(486)
    again = agent.incoming()
    again.reply(180)
    p.reads(f"Nobody answered. {of(lab, agent)} phone rings again.")
    again.answer()
    again.expect("ACK")
    joined(c, again)
    p.reads(f"Nobody answered. {first(lab, agent)} has {customer(c)} back.")
    end(c, again)


@tap.case("the agent has gone: the caller is taken back by a click")
def taken_back(lab):
    p = lab.page()
    c, agent, b = left_alone(lab, p)
    p.click("button", f"Take back: {customer(c)}")
    b.expect("CANCEL")
    again = agent.incoming()
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)


@tap.case("the agent has gone, and nobody else takes it: a department, then the closing message")
def fell_back(lab):
    p = lab.page()
    member = lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('support', '{member.user}')")
    wait("the member is known", lambda: lab.login("boss").get("/agents?queue=support").json["agents"])
    c, agent, b = left_alone(lab, p)
    b.reply(603)
    again = agent.incoming()
    again.reply(480)
    m = member.incoming()
    m.reply(180)
    p.reads(f"{first(lab, b.ua)} did not answer. {customer(c)} waits in Support, 1st in line.")
    offers(p, f"Take back: {customer(c)}")
    m.answer()
    m.expect("ACK")
    joined(c, m)
    end(c, m)


@tap.case("nobody at all takes it: the caller hears the closing message")
def closing(lab):
    p = lab.page()
    speaker = lab.trunk(index=ANNOUNCER)
    lab.sql("delete from segue.queue_members where queue = 'support'")
    wait("nobody serves it", lambda: not lab.login("boss").get("/agents?queue=support").json["agents"])
    c, agent, b = left_alone(lab, p)
    b.reply(486)
    agent.incoming().reply(603)
    x = speaker.incoming()
    x.reply(180)
    x.answer()
    x.expect("ACK")
    p.reads(f"Nobody could take it. {customer(c)} hears the closing message.")
    end(c, x)


if __name__ == "__main__":
    tap.main(TalkingLab, jobs=1)
