"""E-124: segued is killed, or stopped with control.keep_calls, under live calls and in the middle of
transfers, and started again: who talks goes on talking, can hold, be transferred and end the call; who
was being rung is not there any more; the ledger doubles nothing and loses nothing."""
import os
import re
import sys
import time
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk, agent
from flows import (end, final_notify, hears, joined, pick_up, refer, ring, sipfrag, talk, transfer,
                   wait)
from segued import Lab


def restarted(lab, how="kill"):
    """segued ends, one way or the other, and another one starts."""
    lab.daemon.kill() if how == "kill" else lab.daemon.stop()
    lab.restart()
    return lab.daemon


def asked_again(*calls):
    """Each is offered the other's session anew; answers by itself."""
    for x in calls:
        x.expect("INVITE")
        x.expect("ACK")


def on_record(lab, c, n=1):
    """The call's rows, once it is final: one conversation, closed in the ordinary way, not estimated."""
    led = lab.ledger(c)
    assert not led.conversation["estimated"], led.conversation
    assert led.types().count("recovered") == n, led.types()
    assert led.types().count("conversation_started") == 1, led.types()
    assert led.types().count("conversation_ended") == 1, led.types()
    assert not lab.rows("select * from segue.rejected_facts"), lab.rows(
        "select * from segue.rejected_facts")
    return led


for _how in ("kill", "stop"):
    def _talk(lab, how=_how):
        began = time.monotonic()
        c, a = talk(lab)
        versions = c.remote_sdp.origin, a.remote_sdp.origin
        lab.conversation(c, final=False)
        restarted(lab, how)
        assert lab.daemon.log("calls_recovered count=1"), lab.daemon.lines[:30]
        asked_again(c, a)
        joined(c, a)
        for was, now in zip(versions, (c.remote_sdp.origin, a.remote_sdp.origin)):
            assert was[0] == now[0] and now[1] > was[1], (was, now)
        assert "talking" in lab.seguectl("calls"), lab.seguectl("calls")
        a.reinvite(a.sdp.copy(dir="sendonly"))
        hears(c, a, "sendonly")
        time.sleep(0.05)  # the hold that is measured
        a.reinvite(a.sdp.copy(dir="sendrecv"))
        joined(c, a)
        b = transfer(lab, c, a, lab.phone())
        end(c, b)
        took = 1000 * (time.monotonic() - began)
        led = on_record(lab, c)
        assert [s["who"] for s in led.segments] == [a.ua.user, b.ua.user], led.segments
        assert led.segment(a.ua.user)["hold_ms"] > 0, led
        assert 0.5 * took < led.conversation["total_ms"] < took + 2000, (took, led.conversation)
        assert [t["outcome"] for t in led.transfers] == ["completed"], led.transfers
    tap.case(f"E-124 {_how} in a call: both talk on, hold, transfer and end it; one conversation")(_talk)


@tap.case("E-124 kill in a hold: the hold stands, un-hold works")
def held(lab):
    c, a = talk(lab)
    c.keeps_hold = False
    a.reinvite(a.sdp.copy(dir="sendonly"))
    hears(c, a, "sendonly")
    lab.daemon.wait_log(" hold_on ")
    a.keeps_hold = True
    restarted(lab)
    c.expect("ACK")
    a.expect("ACK")
    hears(c, a, "sendonly")
    a.keeps_hold = False
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    joined(c, a)
    end(c, a)
    led = on_record(lab, c)
    assert led.segment(a.ua.user)["hold_ms"] > 0, led


@tap.case("E-124 kill while the target of a transfer rings: NOTIFY says it failed, A has C, asks again")
def ringing(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    assert sipfrag(a.expect("NOTIFY")) == 180
    restarted(lab)
    assert final_notify(a) >= 400
    joined(c, a)
    again = transfer(lab, c, a, lab.phone())
    end(c, again)
    led = on_record(lab, c)
    assert [t["outcome"] for t in led.transfers] == ["failed", "completed"], led.transfers
    assert led.segment(target.user)["talk_ms"] == 0, led


for _what in ("asks", "is being answered by"):
    def _hold_asked(lab, what=_what):
        c, a = talk(lab)
        held_back = [x for x in (c, a)]
        for x in held_back:
            x.manual.add("INVITE")
        target = lab.phone()
        lab.seguectl("transfer", re.search(r"^(\d+\.\d+) ", lab.seguectl("calls"), re.M)[1],
                     target.number)
        target.incoming().reply(180)
        offers = [x.expect("INVITE") for x in held_back]
        lab.daemon.wait_log(" transfer_target_ringing ")
        lab.daemon.kill()
        for x, offer in zip(held_back, offers):
            if what != "asks":
                x.reply(200, x.fitting(offer.sdp), req=offer)
            x.manual.discard("INVITE")
        lab.restart()
        joined(c, a)
        end(c, a)
        led = on_record(lab, c)
        assert [t["outcome"] for t in led.transfers] == ["failed"], led.transfers
    tap.case(f"E-124 kill while segued {_what} both with a hold: A and C talk again")(_hold_asked)


@tap.case("E-124 kill after A has left and while the target rings: C is not lost, A is recalled")
def alone(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a.hangup()
    c.expect("INVITE")
    c.expect("ACK")
    lab.daemon.wait_log(" event type=OA_DONE")
    lab.registered(a.ua)
    restarted(lab)
    again = a.ua.incoming()
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = on_record(lab, c)
    assert all(t["outcome"] for t in led.transfers), led.transfers


for _how in ("kill", "stop"):
    def _waiting(lab, how=_how):
        c, a = talk(lab)
        b = lab.phone()
        desk = Desk(lab, b)
        refer(lab, a, desk.number)
        x = b.incoming()
        x.reply(180)
        final_notify(a, 200)
        lab.registered(b)
        restarted(lab, how)
        x.ended = True  # nobody knows of that INVITE any more
        wait("C waits there again", lambda: desk.look()["queue"]["waiting"] == 1)
        y = b.incoming()
        assert agent(lab, b)["missed"] == 0, agent(lab, b)
        y.reply(180)
        y.answer()
        y.expect("ACK")
        joined(c, y)
        end(c, y)
        led = on_record(lab, c)
        assert [t["answered_by"] for t in led.transfers] == [b.user], led.transfers
        assert led.segment(desk.name)["outcome"] == "answered", led.segments
    tap.case(f"E-124 {_how} while a caller waits in a queue and its agent rings: the place is kept, the agent is "
             "asked again, and has missed nothing")(_waiting)


@tap.case("E-124 kill after a transfer was done: the new pair talks on; the transferor's dialog is ended")
def done(lab):
    c, a = talk(lab)
    b = transfer(lab, c, a, lab.phone())
    restarted(lab)
    asked_again(c, b)
    joined(c, b)
    end(b, c)
    led = on_record(lab, c)
    assert led.conversation["ended_by"] == "agent" and led.conversation["n_blind"] == 1, led


@tap.case("E-124 kill in the join: the answered target and C are joined")
def joining(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    c.manual = {"INVITE"}
    b.answer()
    b.expect("ACK")
    req = c.expect("INVITE")
    lab.daemon.kill()
    c.manual = set()
    lab.restart()
    assert c.expect("INVITE").cseq > req.cseq
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    led = on_record(lab, c)
    assert led.transfers[0]["outcome"] == "completed", led.transfers


@tap.case("E-124 kill in a consultation by phone: it goes on, and REFER with Replaces joins C and B")
def consulting(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    hears(c, a, "sendonly")
    a.keeps_hold = True
    a2, b = ring(agent, target.number, target)
    pick_up(a2, b)
    lab.daemon.wait_log(f" answered actor={target.user} ")
    restarted(lab)
    assert lab.daemon.log("calls_recovered count=2"), lab.daemon.lines[:30]
    asked_again(a2, b)
    name = quote(f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}")
    a.refer(f"<sip:{target.number}@{lab.domain}?Replaces={name}>")
    a.expect(202, method="REFER")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    led = on_record(lab, c)
    assert led.transfers[-1]["outcome"] == "completed" and led.conversation["n_consult"] == 1, led


@tap.case("E-124 a caller who only rings: nothing to go on with; the ledger closes it, estimated")
def early(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    lab.conversation(c, final=False)
    restarted(lab)
    led = lab.ledger(c)
    assert led.conversation["estimated"] and led.conversation["talk_ms"] == 0, led.conversation
    c.ended = a.ended = True


@tap.case("E-124 a party hung up while segued was down (481): the other gets BYE; the end is estimated")
def gone(lab):
    began = time.monotonic()
    c, a = talk(lab)
    lab.conversation(c, final=False)
    lab.daemon.kill()
    lived = 1000 * (time.monotonic() - began)
    a.manual = {"INVITE"}
    time.sleep(4)  # the outage that must not be counted
    lab.restart()
    a.reply(481, req=a.expect("INVITE"))
    c.expect("BYE")
    led = lab.ledger(c)
    assert led.conversation["estimated"] and led.segment(a.ua.user)["estimated"], led
    assert led.conversation["total_ms"] <= lived + 500, (lived, led.conversation)
    assert led.conversation["outcome"] == "answered", led.conversation


@tap.case("E-124 killed twice, an UPDATE and a new SDP in between: the newest session counts")
def twice(lab):
    c, a = talk(lab)
    restarted(lab)
    asked_again(c, a)
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    hears(a, c)
    restarted(lab)
    joined(c, a)
    end(c, a)
    on_record(lab, c, n=2)


@tap.case("E-124 routes and session timer outlive it")
def routes(lab):
    agent, trunk = lab.phone(), lab.trunk()
    me = f"<sip:{trunk.hostport};lr;x=1>"
    c = trunk.invite(agent.number, headers=[("Record-Route", me), ("Session-Expires", "90;refresher=uac")])
    a = agent.incoming()
    a.answer()
    c.expect(200, method="INVITE")
    c.routes = []
    c.ack()
    a.expect("ACK")
    lab.daemon.wait_log(f" answered actor={agent.user} ")
    restarted(lab)
    m = c.expect("INVITE")
    assert m.all("Route") == [me], m.headers
    c.update(headers=[("Session-Expires", "90;refresher=uac"), ("Supported", "timer")])
    assert c.expect(200, method="UPDATE").get("Session-Expires").startswith("90")
    a.bye()
    a.expect(200, method="BYE")
    assert c.expect("BYE").all("Route") == [me]
    on_record(lab, c)


class Lasting(Lab):
    def config(self):
        return super().config().replace('drain = "3s";', 'drain = "3s"; keep_calls = true;')


if __name__ == "__main__":
    tap.main(Lasting, jobs=1)
