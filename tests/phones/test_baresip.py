"""baresip as agent, target, caller and callee, with Linphone as the other brand.

This version has no SHA-256 (a challenge with it makes it give up) and hangs up when a transfer
fails. It knows no attended transfer.
"""
import os
import sys
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), d) for d in ("../lib", ".")]

import scenes
import tap
from phones import Baresip, Linphone, Phones, play

# the numbers are the roles: 0 is baresip, 1 Linphone
play("registered by digest; a call is held and resumed; the customer hangs up",
     scenes.hold_and_resume, 0)
play("the phone hangs up", scenes.phone_hangs_up, 0)
play("the caller gives up while it rings", scenes.caller_gives_up, 0)
play("click-to-dial: the phone rings, hears early media, and talks", scenes.dialled_for, 0)
play("baresip transfers the customer to Linphone", scenes.blind, 0, 1)
play("baresip holds, then transfers (E-049); the target hangs up", scenes.blind_from_hold, 0, 1)
play("baresip to Linphone and back (E-074)", scenes.there_and_back, 0, 1)
play("Linphone transfers and leaves while baresip rings (E-001)", scenes.leaves_early, 1, 0)
play("an outbound call of baresip is transferred to Linphone", scenes.outbound, 0, 1)
play("baresip calls Linphone", scenes.internal, 0, 1)
play("the target is busy and baresip hangs up on that: it is recalled (E-002)",
     scenes.busy_is_hung_up, 0)
play("the same in a call that baresip has made (E-002)", scenes.busy_is_hung_up_outbound, 0)

if __name__ == "__main__":
    tap.main(lambda: Phones(Baresip, Linphone), jobs=1)
