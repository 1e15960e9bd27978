"""Features that have tests of their own, at the same time: trunks in turn while a transfer is cancelled,
chains over several kinds of target, people who are in two calls, a kill in the middle of a chain."""
import os
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, final_notify, joined, refer, talk
from segued import Lab

FIRST, SECOND, BOXES = 40, 42, 50


def name(i):
    return f"peer{i:02d}"


def trunks(lab):
    return lab.trunk(index=FIRST), lab.trunk(index=SECOND)


def name_of(x):
    return f"{x.call_id};to-tag={x.remote_tag};from-tag={x.local_tag}"


def replace(phone, x):
    return phone.invite(phone.dial or "2000", headers=[("Replaces", name_of(x)), ("Require", "replaces")])


def outcomes(led):
    return [(t["asked_via"], t["kind"], t["target_kind"], t["outcome"], t["cause"]) for t in led.transfers]


@tap.case("E-036 an outside number is consulted, the first trunk fails, and the agent cancels while the second rings")
def consult_failover_cancelled(lab):
    one, two = trunks(lab)
    c, a = talk(lab)
    lab.seguectl("consult", c.segue_id, "811234")
    one.incoming().reply(503)
    x = two.incoming()
    x.reply(183)
    lab.seguectl("cancel", c.segue_id)
    x.expect("CANCEL")
    joined(c, a)
    one.expect_none("INVITE", 0.3)
    end(c, a)
    led = lab.ledger(c)
    assert outcomes(led) == [("ctl", "consult", "external", "cancelled", None)], outcomes(led)
    s = led.segments[-1]
    assert (s["kind"], s["talk_ms"], s["consult_ms"]) == ("consult", 0, 0), s
    assert led.segments[0]["consult_ms"] == 0 and led.segments[0]["hold_ms"] > 0, led.segments
    tried = [t["data"].get("trunk") for t in led.timeline if t["type"] == "offer_failed"]
    assert tried[0] == name(FIRST), led.timeline


@tap.case("E-036 E-016 the same, but the second trunk answers as the CANCEL is on its way: ACK, BYE, nobody consulted")
def consult_failover_crossed(lab):
    one, two = trunks(lab)
    c, a = talk(lab)
    lab.seguectl("consult", c.segue_id, "811234")
    one.incoming().reply(503)
    x = two.incoming()
    x.manual.add("CANCEL")
    x.reply(180)
    lab.seguectl("cancel", c.segue_id)
    cancel = x.expect("CANCEL")
    x.answer()
    x.reply(200, req=cancel)
    x.expect("ACK")
    x.expect("BYE")
    joined(c, a)
    end(c, a)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["cancelled"], led.transfers
    assert led.segments[0]["consult_ms"] == 0, led.segments


@tap.case("E-036 a consulted number, the first trunk fails, the agent hands over while the second rings: joined, semi")
def consult_failover_semi(lab):
    one, two = trunks(lab)
    c, a = talk(lab)
    lab.seguectl("consult", c.segue_id, "811234")
    x = one.incoming()
    lab.seguectl("complete", c.segue_id)
    a.expect("BYE")
    x.reply(503)
    b = two.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)
    led = lab.ledger(c)
    assert outcomes(led) == [("ctl", "semi", "external", "completed", None)], outcomes(led)
    assert led.segments[-1]["kind"] == "external" and led.segments[-1]["talk_ms"] > 0, led.segments


@tap.case("E-002 E-036 all trunks fail and the agent has left: the chain of outside numbers leads to a mailbox")
def mailbox_after_trunks(lab):
    (one, two), boxes = trunks(lab), lab.trunk(index=BOXES)
    c, a = talk(lab)
    refer(lab, a, "811234")
    x = one.incoming()
    a.hangup()
    x.reply(503)
    two.incoming().reply(500)
    box = boxes.incoming()
    assert box.invite.uri.startswith("sip:*972147@"), box.invite.uri
    box.answer()
    box.expect("ACK")
    joined(c, box)
    end(c, box)
    led = lab.ledger(c)
    assert [(t["asked_via"], t["target_kind"], t["outcome"], t["cause"]) for t in led.transfers] == [
        ("sip_refer", "external", "fell_back", "voicemail"),
        ("system", "voicemail", "completed", None)], outcomes(led)
    assert led.transfers[0]["next_transfer_id"] == led.transfers[1]["id"]
    assert [(s["kind"], s["talk_ms"]) for s in led.segments[1:]] == [
        ("external", 0), ("voicemail", 0)], led.segments


@tap.case("E-002 the transferor who is to be recalled is in another call: call waiting, and that call is not touched")
def recall_in_a_call(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    refer(lab, a, target.number)
    b = target.incoming()
    a.hangup()
    c2, a2 = talk(lab, agent)
    b.reply(480)
    again = agent.incoming()
    again.reply(180)
    a2.reinvite(a2.sdp.copy(dir="sendonly"))
    again.answer()
    again.expect("ACK")
    joined(c, again)
    assert not a2.ended and not c2.ended
    end(c, again)
    a2.reinvite(a2.sdp.copy(dir="sendrecv"))
    joined(c2, a2)
    end(c2, a2)
    led, led2 = lab.ledger(c), lab.ledger(c2)
    assert led.transfers[0]["outcome"] == "recalled", led.transfers
    assert [s["kind"] for s in led.segments] == ["agent", "agent", "recall"], led.segments
    assert not led2.transfers and len(led2.segments) == 1, led2


@tap.case("E-127 two press at the same moment: one transfer, the other is refused with the reason")
def two_press(lab):
    c, a = talk(lab)
    targets = [lab.phone(), lab.phone()]
    said = [None, None]

    def press(i):
        try:
            said[i] = ("done", lab.seguectl("transfer", c.segue_id, targets[i].number))
        except AssertionError as e:
            said[i] = ("refused", str(e))
    both = [threading.Thread(target=press, args=(i,)) for i in (0, 1)]
    for t in both:
        t.start()
    for t in both:
        t.join()
    won = [i for i in (0, 1) if said[i][0] == "done"]
    assert len(won) == 1, said
    b = targets[won[0]].incoming()
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    targets[1 - won[0]].expect_none("INVITE", 0.1)
    end(c, b)
    led = lab.ledger(c)
    assert [(t["target"], t["outcome"]) for t in led.transfers] == [
        (targets[won[0]].user, "completed")], led.transfers
    assert "transfer_refused" in led.types() and "running already" in said[1 - won[0]][1], (said, led)


@tap.case("E-096 a third phone takes over the target's leg while the target is being joined: refused, the join goes on")
def replaced_in_the_join(lab):
    target = lab.phone()
    c, a = talk(lab)
    c.manual = {"INVITE"}
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    b.answer()
    req = c.expect("INVITE")
    d = replace(lab.device(target), b)
    d.expect(491, method="INVITE")
    c.manual = set()
    c.reply(200, c.sdp, req=req)
    c.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("E-096 a third phone of the transferor asks for his leg while the target rings: 491, the transfer goes on")
def replaced_owner(lab):
    target = lab.phone()
    c, a = talk(lab)
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    d = replace(lab.device(a.ua), a)
    d.expect(491, method="INVITE")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


def recalled_from_mailbox(led, a, cause):
    """The mailbox never had the caller, and the rows say so."""
    assert outcomes(led) == [("sip_refer", "blind", "user", "fell_back", "voicemail"),
                             ("system", "blind", "voicemail", "recalled", cause)], outcomes(led)
    assert [s["kind"] for s in led.segments] == ["agent", "agent", "voicemail", "recall"], led.segments
    assert (led.segments[-1]["who"], led.segments[-1]["talk_ms"] > 0) == (a.ua.user, True), led.segments
    assert led.conversation["n_blind"] == 0, led.conversation


def declined(lab, target):
    """A sends C to the target, hangs up, and the target is busy: the chain goes on. Returns (C, A)."""
    c, a = talk(lab)
    refer(lab, a, target.number)
    b = target.incoming()
    a.hangup()
    b.reply(486)
    return c, a


def back_with(c, a):
    """A, who is rung again, has C back, and they end it."""
    again = a.ua.incoming()
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)


@tap.case("E-124 E-002 killed while the second step of the chain rings: C is not lost, A is rung again")
def killed_in_chain(lab):
    boxes = lab.trunk(index=BOXES)
    c, a = declined(lab, lab.phone())
    box = boxes.incoming()
    box.reply(180)
    lab.daemon.wait_log(" event type=OA_DONE")
    lab.registered(a.ua)
    lab.daemon.kill()
    lab.restart()
    back_with(c, a)
    recalled_from_mailbox(lab.ledger(c), a, "unreachable")


@tap.case("E-002 the second step of a chain fails as well, and A is recalled: the step's own row says recalled")
def recall_after_mailbox(lab):
    boxes = lab.trunk(index=BOXES)
    c, a = declined(lab, lab.phone())
    boxes.incoming().reply(486)
    back_with(c, a)
    recalled_from_mailbox(lab.ledger(c), a, "busy")


ROUTES = f"""{{ pattern = "81X."; kind = "external"; target = "{name(FIRST)}"; strip = 2; transfer = true;
	failover = [ "{name(SECOND)}" ]; }},
{{ pattern = "*97."; kind = "voicemail"; target = "{name(BOXES)}"; transfer = true; }},
"""

if __name__ == "__main__":
    tap.main(lambda: Lab(
        routes=ROUTES, transfer='voicemail_prefix = "*97";',
        conf='fallback: { user = [ "voicemail?busy", "recall" ]; external = [ "voicemail:u147" ]; };'), jobs=1)
