"""Who hears whom: each party plays a tone of its own, and the ears are asked.

Without a media anchor the tones go straight from party to party, where the descriptions that segue
passes on say. So this shows that they say the right thing at every moment of a transfer.
"""
import os
import sys
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import flows
import rtp
import segued
import tap
from rtp import wait_heard

C, A, B = rtp.TONES[:3]


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def talk(lab):
    """A customer talks with an agent, and they hear each other. Returns C, A and their voices."""
    cv, av = voice(C), voice(A)
    c, a = flows.talk(lab, sdp=cv.sdp(), answer=av.sdp())
    cv.follow(c)
    av.follow(a)
    wait_heard({cv: {A}, av: {C}})
    return c, a, cv, av


def hold(a):
    a.reinvite(a.sdp.copy(dir="sendonly"))


@tap.case("E-049 a blind transfer from hold: silence while held, then customer and target")
def blind(lab):
    c, a, cv, av = talk(lab)
    bv = voice(B)
    hold(a)
    av.follow(None)  # the phone has no music
    wait_heard({cv: set(), av: set(), bv: set()})
    phone = lab.phone()
    flows.refer(lab, a, phone.number)
    b = phone.incoming()
    b.reply(180)
    bv.follow(b)
    wait_heard({cv: set(), av: set(), bv: set()})
    b.answer(bv.sdp())
    b.expect("ACK")
    wait_heard({cv: {B}, bv: {C}, av: set()})
    a.expect("BYE")
    flows.end(c, b)
    wait_heard({cv: set(), bv: set()})


@tap.case("E-001 the agent leaves while the target rings: silence, then the target")
def leaves(lab):
    c, a, cv, av = talk(lab)
    bv, phone = voice(B), lab.phone()
    flows.refer(lab, a, phone.number)
    b = phone.incoming()
    b.reply(180)
    wait_heard({cv: {A}, av: {C}, bv: set()})
    a.hangup()
    wait_heard({cv: set(), av: set()})
    bv.follow(b)
    b.answer(bv.sdp())
    b.expect("ACK")
    wait_heard({cv: {B}, bv: {C}, av: set()})
    flows.end(c, b)


@tap.case("E-025 the target is busy: customer and agent hear each other as before")
def busy(lab):
    c, a, cv, av = talk(lab)
    phone = lab.phone()
    flows.refer(lab, a, phone.number)
    b = phone.incoming()
    b.reply(486)
    flows.final_notify(a, 486)
    wait_heard({cv: {A}, av: {C}})
    flows.end(c, a)


@tap.case("E-074 to the target and back: each time the two who talk hear each other")
def back(lab):
    c, a, cv, av = talk(lab)
    phone, bv = lab.phone(), voice(B)
    b = flows.transfer(lab, c, a, phone, bv.sdp())
    bv.follow(b)
    wait_heard({cv: {B}, bv: {C}, av: set()})
    again = voice(A)
    a2 = flows.transfer(lab, c, b, a.ua, again.sdp())
    again.follow(a2)
    wait_heard({cv: {A}, again: {C}, bv: set(), av: set()})
    flows.end(c, a2)


def consult(lab, a, av, phone):
    """A holds its caller and rings somebody else. A's second call, the other's call, both voices."""
    hold(a)
    av.follow(None)
    av2, bv = voice(A), voice(B)
    a2, b = flows.ring(a.ua, phone.number, phone, av2.sdp())
    av2.follow(a2)
    bv.follow(b)
    return a2, b, av2, bv


def complete(lab, a, a2, number):
    """A connects whom it holds with whom it called."""
    name = quote(f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}", safe="")
    a.refer(f"<sip:{number}@{lab.domain}?Replaces={name}>")
    a.expect((200, 202), method="REFER")


@tap.case("E-085 an attended transfer: agent and target while they consult, then customer and target")
def attended(lab):
    c, a, cv, av = talk(lab)
    phone = lab.phone()
    a2, b, av2, bv = consult(lab, a, av, phone)
    flows.pick_up(a2, b, bv.sdp())
    wait_heard({cv: set(), av: set(), av2: {B}, bv: {A}})
    complete(lab, a, a2, phone.number)
    wait_heard({cv: {B}, bv: {C}, av: set(), av2: set()})
    a.expect("BYE")
    a2.expect("BYE")
    flows.end(c, b)


@tap.case("E-086 completed while the target rings: silence, then customer and target")
def attended_early(lab):
    c, a, cv, av = talk(lab)
    phone = lab.phone()
    a2, b, av2, bv = consult(lab, a, av, phone)
    complete(lab, a, a2, phone.number)
    a2.expect(487, method="INVITE")
    wait_heard({cv: set(), av: set(), av2: set(), bv: set()})
    b.answer(bv.sdp())
    b.expect("ACK")
    wait_heard({cv: {B}, bv: {C}, av: set(), av2: set()})
    a.expect("BYE")
    flows.end(c, b)


if __name__ == "__main__":
    tap.main(segued.Lab, jobs=4)
