"""Transfers to queues in which somebody keeps the line: stay, consultation, and a place inherited."""
import os
import sys
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import CODES, Desk, agent, wraps_up
from flows import end, final_notify, is_final, joined, ring, talk, wait
from segued import Lab


def call_of(lab, c):
    return lab.conversation(c, final=False)["call"]


def state(lab, c):
    return lab.seguectl("call", call_of(lab, c))


def held(x):
    wait(f"{x.ua.name} is held", lambda: x.remote_sdp.dir() in ("sendonly", "inactive"))


def refer_stay(lab, a, number):
    a.refer(f"<sip:{number}@{lab.domain};stay>")
    a.expect((200, 202), method="REFER")


@tap.case("stay by REFER: the agent keeps the line while one declines, and is told when one has answered")
def stay(lab):
    a, b, d = lab.phone(), lab.phone(), lab.phone()
    desk = Desk(lab, b, d, levels=True)
    c, x = talk(lab, a)
    refer_stay(lab, x, desk.number)
    first = b.incoming()
    first.reply(180)
    assert x.take("BYE", 0.3) is None and x.take("NOTIFY", 0, where=is_final) is None
    joined(c, x)
    first.reply(486)
    second = d.incoming()
    second.answer()
    final_notify(x, 200)
    joined(c, second)
    x.expect("BYE")
    end(c, second)
    led = lab.ledger(c)
    t = led.transfers[0]
    assert (t["outcome"], t["answered_by"]) == ("completed", d.user), t
    assert t["to_segment_id"] == led.segment(d.user)["id"], led
    assert led.segment(desk.name)["outcome"] == "answered", led
    assert led.segment(a.user)["outcome"] == "transferred", led


@tap.case("stay by command: both wait; cancel gives the caller back, and the phone that rings stops")
def stay_cancelled(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b)
    c, x = talk(lab, a)
    lab.seguectl("transfer", call_of(lab, c), desk.number, "--stay")
    y = b.incoming()
    y.reply(180)
    held(c)
    lab.seguectl("cancel", call_of(lab, c))
    y.expect("CANCEL")
    joined(c, x)
    end(c, x)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "cancelled", led
    assert led.segment(desk.name)["outcome"] == "cancelled", led


@tap.case("stay by command, and complete: the agent need not wait any longer, the caller waits on")
def stay_completed(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b)
    c, x = talk(lab, a)
    lab.seguectl("transfer", call_of(lab, c), desk.number, "--stay")
    y = b.incoming()
    y.reply(180)
    lab.seguectl("complete", call_of(lab, c))
    x.expect("BYE")
    y.answer()
    joined(c, y)
    end(c, y)
    assert lab.ledger(c).transfers[0]["answered_by"] == b.user


@tap.case("stay: the caller gives up, the offer is withdrawn, the transferor is released")
def stay_abandoned(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b)
    c, x = talk(lab, a)
    refer_stay(lab, x, desk.number)
    y = b.incoming()
    y.reply(180)
    c.hangup()
    y.expect("CANCEL")
    final_notify(x, 487)
    x.expect("BYE")
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "abandoned", led
    assert led.segment(desk.name)["outcome"] == "abandoned", led


def consult(lab, c, a, number):
    lab.seguectl("consult", call_of(lab, c), number)
    held(c)


@tap.case("consult a queue: it finds somebody for the agent; swap, complete; queue, offers and consult on record")
def consult_queue(lab):
    a, b, d = lab.phone(), lab.phone(), lab.phone()
    desk = Desk(lab, b, d, levels=True, wrapup_ms=1000)
    c, x = talk(lab, a)
    consult(lab, c, x, desk.number)
    first = b.incoming()
    assert desk.look()["queue"]["waiting"] == 1
    first.reply(486)
    second = d.incoming()
    second.answer()
    joined(x, second)
    assert "CONSULT" in state(lab, c)
    lab.seguectl("swap", call_of(lab, c))
    joined(c, x)
    lab.seguectl("swap", call_of(lab, c))
    joined(x, second)
    lab.seguectl("complete", call_of(lab, c))
    joined(c, second)
    x.expect("BYE")
    assert agent(lab, d)["state"] == "talking"
    end(c, second)
    wraps_up(lab, d)
    led = lab.ledger(c)
    assert [(s["kind"], s["who"], s["outcome"]) for s in led.segments] == [
        ("agent", a.user, "transferred"), ("queue", desk.name, "answered"),
        ("consult", b.user, "busy"), ("consult", d.user, "completed"),
        ("agent", d.user, "completed")], led
    t, = led.transfers
    assert (t["kind"], t["outcome"], t["answered_by"]) == ("consult", "completed", d.user), t
    assert led.segments[3]["consult_ms"] > 0 and led.segments[3]["talk_ms"] == 0, led


@tap.case("consult a queue, and cancel: while it looks for somebody, and when somebody is there")
def consult_cancelled(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b)
    c, x = talk(lab, a)
    consult(lab, c, x, desk.number)
    y = b.incoming()
    y.reply(180)
    lab.seguectl("cancel", call_of(lab, c))
    y.expect("CANCEL")
    joined(c, x)
    wait("free again", lambda: agent(lab, b)["state"] == "free")
    consult(lab, c, x, desk.number)
    y = b.incoming()
    y.answer()
    joined(x, y)
    lab.seguectl("cancel", call_of(lab, c))
    y.expect("BYE")
    joined(c, x)
    end(c, x)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["cancelled", "cancelled"], led
    assert [s["outcome"] for s in led.segments if s["kind"] == "queue"] == ["cancelled", "answered"], led


@tap.case("E-094 consult a queue, hand over while it looks: the caller takes over the place")
def consult_handed_over(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b)
    c, x = talk(lab, a)
    consult(lab, c, x, desk.number)
    y = b.incoming()
    y.reply(180)
    lab.seguectl("complete", call_of(lab, c))
    x.expect("BYE")
    y.answer()
    joined(c, y)
    end(c, y)
    led = lab.ledger(c)
    t, = led.transfers
    assert (t["kind"], t["outcome"], t["answered_by"]) == ("semi", "completed", b.user), t
    assert [(s["kind"], s["outcome"]) for s in led.segments] == [
        ("agent", "transferred"), ("queue", "answered"), ("agent", "completed")], led


@tap.case("E-094 the agent's second call waits in a queue, first of two; REFER with Replaces: the caller "
          "takes over the place, and the phone that rings rings on")
def place_inherited(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b)
    c, x = talk(lab, a)
    x.reinvite(x.sdp.copy(dir="sendonly"))
    x2, y = ring(a, desk.number, b)
    other = lab.trunk().invite(desk.number)
    other.expect(180)
    wait("two wait", lambda: desk.look()["queue"]["waiting"] == 2)
    name = quote(f"{x2.call_id};to-tag={x2.remote_tag};from-tag={x2.local_tag}", safe="")
    x.refer(f"<sip:{desk.number}@{lab.domain}?Replaces={name}>")
    x.expect((200, 202), method="REFER")
    final_notify(x, 200)
    x2.expect((480, 487), method="INVITE")
    look = desk.look()["callers"]
    assert [w["position"] for w in look] == [1, 2] and look[0]["offered"] == b.user, look
    y.answer()
    joined(c, y)
    x.expect("BYE")
    assert b.count("CANCEL") == 0
    other.cancel()
    other.expect(487, method="INVITE")
    end(c, y)
    led = lab.ledger(c)
    t, = led.transfers
    assert (t["kind"], t["outcome"], t["answered_by"]) == ("semi", "completed", b.user), t
    assert sorted((s["kind"], s["outcome"]) for s in led.segments) == [
        ("agent", "completed"), ("agent", "transferred"), ("queue", "answered")], led
    wrong = lab.rows(f"select * from segue.check_ledger() where conversation_id = '{led.conversation['id']}'")
    assert not wrong, wrong


if __name__ == "__main__":
    tap.main(lambda: Lab(users=60, peers=20, conf=CODES), jobs=4)
