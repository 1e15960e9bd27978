"""Who hears whom: each party plays a tone of its own, and the ears are asked.

Without a media anchor the tones go straight from party to party, where the descriptions that segue
passes on say. So this shows that they say the right thing at every moment of a transfer.
"""
import os
import sys
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


if __name__ == "__main__":
    tap.main(segued.Lab, jobs=4)
