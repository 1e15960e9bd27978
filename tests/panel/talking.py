"""talking: what tests of the panel's sentences share: a lab whose chains have an end, and a page that sends a
caller on."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from flows import talk
from panel import PanelLab, customer, display, first, of, send

RING_S = 10
ANNOUNCER = 59  # the peer that speaks the closing message


class TalkingLab(PanelLab):
    """Targets ring for ten seconds; whom nobody keeps is taken along a chain."""

    def __init__(self, **kw):
        super().__init__(**{"t": {"ring": 1000 * RING_S, "recall": 1000 * RING_S},
                            "fallback": ["recall", "queue:support", f"announce:9{ANNOUNCER}4711"], **kw})


def target_rings(lab, p, c, a, **kw):
    """The page sends c to a phone that rings now. Returns its call."""
    t = lab.phone()
    send(p, c, display(lab, t), **kw)
    b = t.incoming()
    b.reply(180)
    p.reads(f"{of(lab, t)} phone is ringing. {customer(c)} hears music; {first(lab, a.ua)} is still on the line.")
    return b


def offers(p, *names):
    for name in names:
        p.see("button", name)


def off(p, c, label, sentence):
    """The button is off, says why in its own place, and the whole sentence when it is pressed."""
    name = f"Transfer {customer(c)}: {label.lower()}"
    node = p.see("button", name)
    assert node.off, f"{name}: a button that is off says so"
    p.reads(label)
    p.click("button", name)
    p.reads(sentence)


def left_alone(lab, p):
    """The page sends a caller on, and the agent leaves while the target rings. (C, the agent, B)"""
    c, a = talk(lab)
    b = target_rings(lab, p, c, a)
    a.hangup()
    p.reads(f"{first(lab, a.ua)} has gone. {customer(c)} hears music while {of(lab, b.ua)} phone rings.")
    offers(p, f"Take back: {customer(c)}", f"Try another: {customer(c)}")
    return c, a.ua, b
