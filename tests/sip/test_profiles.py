"""What the profile of a peer says of transfers and of its audio (refer_progress, bye_policy, anchor_media),
and what a caller hears where media.anchor leaves it to the peers. A real rtpengine carries the audio."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from desk import CODES, Desk
from engine import MUSIC, RINGBACK
from flows import end, final_notify, is_final, joined, pick_up, refer, ring, talk, wait
from segued import Lab

EAGER, HURRIED, PLAIN, ANCHORED, DIRECT = 40, 42, 44, 46, 48
PROFILES = {EAGER: 'refer_mode = "terminate"; refer_progress = "immediate";',
            HURRIED: 'refer_mode = "terminate"; bye_policy = "now";',
            PLAIN: 'refer_mode = "terminate";', ANCHORED: "anchor_media = true;"}
SILENCE = set()


def voices(n=2):
    v = [rtp.Rtp(t) for t in rtp.TONES[:n]]
    for x in v:
        tap.at_end(x.close)
    return v


def heard(lab, trunk, cv, av):
    """C, on that trunk, talks with A, and they hear each other. Returns (C, A)."""
    agent = lab.phone()
    c, a = ring(trunk, agent.number, agent, cv.sdp())
    pick_up(c, a, av.sdp())
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    return c, a


def is_direct(x, v):
    """Does x send to v itself, or to an engine?"""
    return x.remote_sdp.port() == v.port


# ---- refer_progress and bye_policy -----------------------------------------------------------------


@tap.case("E-011 refer_progress = immediate: the peer's REFER is told 200 while B rings; the ledger knows better")
def immediate(lab):
    c, a = talk(lab, trunk=lab.trunk(index=EAGER))
    target = lab.phone()
    c.refer(lab.refer_to(target.number))
    c.expect(202, method="REFER")
    b = target.incoming()
    mark = lab.daemon.mark()
    b.reply(180)
    final_notify(c, 200)
    lab.daemon.wait_log(" transfer_target_ringing ", since=mark)
    b.answer()
    b.expect("ACK")
    joined(a, b)
    c.hangup()
    end(a, b)
    led = lab.ledger(c)
    t = led.transfers[0]
    assert (t["asked_via"], t["outcome"]) == ("sip_refer", "completed"), t
    assert t["joined_at"] > t["target_ringing_at"] >= t["accepted_at"], t
    c.expect_none("NOTIFY", 0.1, where=is_final)


@tap.case("E-011 E-025 the same, and B is busy: the peer was told 200, it is with A again, and the ledger says failed")
def immediate_in_vain(lab):
    c, a = talk(lab, trunk=lab.trunk(index=EAGER))
    target = lab.phone()
    c.refer(lab.refer_to(target.number))
    c.expect(202, method="REFER")
    final_notify(c, 200)
    mark = lab.daemon.mark()
    target.incoming().reply(486)
    lab.daemon.wait_log(" transfer_failed ", since=mark)
    joined(c, a)
    end(c, a)
    led = lab.ledger(c)
    assert [(t["outcome"], t["cause"]) for t in led.transfers] == [("failed", "busy")], led.transfers
    assert led.conversation["n_blind"] == 0, led.conversation


def transferred_by(lab, trunk):
    """The peer at that trunk has sent A on to B, and has not answered the final NOTIFY. C, A, B, it."""
    c, a = talk(lab, trunk=trunk)
    c.mine = lambda m: m.method == "NOTIFY" and m.get("Subscription-State").startswith("terminated")
    target = lab.phone()
    refer(lab, c, target.number)
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(a, b)
    return c, a, b, c.expect("NOTIFY", where=c.mine)


@tap.case("E-003 E-005 bye_policy = now: segue hangs up on the peer once its final NOTIFY is answered, not before")
def bye_now(lab):
    c, a, b, n = transferred_by(lab, lab.trunk(index=HURRIED))
    c.expect_none("BYE", 0.3)
    c.reply(200, req=n)
    c.expect("BYE")
    end(a, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


@tap.case("E-003 bye_policy = wait, as it is by default: the peer has the time transfer.bye to hang up by itself")
def bye_wait(lab):
    c, a, b, n = transferred_by(lab, lab.trunk(index=PLAIN))
    c.reply(200, req=n)
    c.expect_none("BYE", 0.5)
    c.hangup()
    end(a, b)
    assert lab.ledger(c).transfers[0]["outcome"] == "completed"


# ---- whose audio runs through an engine ------------------------------------------------------------


@tap.case("anchor_media: a call with that peer runs through the engine, and still does after a transfer")
def anchored(lab):
    cv, av, bv = voices(3)
    c, a = heard(lab, lab.trunk(index=ANCHORED), cv, av)
    assert not is_direct(c, av) and not is_direct(a, cv), (c.remote_sdp.text, a.remote_sdp.text)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.answer(bv.sdp())
    bv.follow(b)
    final_notify(a, 200)
    a.hangup()
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    assert not is_direct(c, bv) and not is_direct(b, cv), (c.remote_sdp.text, b.remote_sdp.text)
    end(c, b)


@tap.case("anchor_media: other calls run directly, until they are transferred to a peer that asks for it")
def anchored_later(lab):
    cv, av, bv = voices(3)
    c, a = heard(lab, lab.trunk(index=DIRECT), cv, av)
    assert is_direct(c, av) and is_direct(a, cv), (c.remote_sdp.text, a.remote_sdp.text)
    trunk = lab.trunk(index=ANCHORED)
    refer(lab, a, lab.outside(trunk, "555"))
    b = trunk.incoming()
    b.answer(bv.sdp())
    bv.follow(b)
    final_notify(a, 200)
    a.hangup()
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    assert not is_direct(c, bv) and not is_direct(b, cv), (c.remote_sdp.text, b.remote_sdp.text)
    end(c, b)


@tap.case("a caller whom a queue answers with music runs through the engine, whatever his peer says")
def queued(lab):
    cv, av = voices()
    agent = lab.phone()
    desk = Desk(lab, agent)
    c = lab.trunk(index=DIRECT).invite(desk.number, sdp=cv.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    cv.follow(c)
    rtp.wait_heard({cv: {MUSIC}})
    a = agent.incoming()
    a.answer(av.sdp())
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("while_ringing = ringback: music while the agent holds C, ringback once B rings, then B")
def ringback(lab):
    cv, av, bv = voices(3)
    c, a = heard(lab, lab.trunk(index=ANCHORED), cv, av)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    a.hangup()
    b.reply(180)
    rtp.wait_heard({cv: {RINGBACK}})
    b.answer(bv.sdp())
    bv.follow(b)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    end(c, b)


@tap.case("while_ringing = ringback: held by command, C hears music, ringback once B rings, then A again")
def ringback_by_command(lab):
    cv, av = voices(2)
    c, a = heard(lab, lab.trunk(index=ANCHORED), cv, av)
    target = lab.phone()
    lab.seguectl("transfer", lab.conversation(c, final=False)["call"], target.number)
    b = target.incoming()
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})   # the engine knows by now that both only listen
    b.reply(180)
    rtp.wait_heard({cv: {RINGBACK}, av: SILENCE})
    b.reply(486)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


def main():
    with engine.Engine() as e:
        tap.main(lambda: Lab(
            conf=e.conf(extra='anchor = "peer"; while_ringing = "ringback";') + CODES,
            t={"bye": 20000}, peer_conf=lambda i: PROFILES.get(i, "")), jobs=1)


main()
