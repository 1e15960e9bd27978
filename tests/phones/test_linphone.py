"""linphone-daemon as agent, target, caller and callee, with Twinkle as the other brand."""
import os
import sys
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), d) for d in ("../lib", ".")]

import scenes
import tap
from phones import Linphone, Phones, Twinkle, play

# the numbers are the roles: 0 is Linphone, 1 Twinkle
play("registered by digest; a call is held and resumed; the customer hangs up",
     scenes.hold_and_resume, 0)
play("the phone hangs up", scenes.phone_hangs_up, 0)
play("the caller gives up while it rings", scenes.caller_gives_up, 0)
play("click-to-dial: the phone rings, hears early media, and talks", scenes.dialled_for, 0)
play("Linphone transfers the customer to Twinkle", scenes.blind, 0, 1)
play("Linphone holds, then transfers (E-049); the target hangs up", scenes.blind_from_hold, 0, 1)
play("Linphone transfers and leaves while Twinkle rings (E-001)", scenes.leaves_early, 0, 1)
play("Linphone to Twinkle and back (E-074)", scenes.there_and_back, 0, 1)
play("an outbound call of Linphone is transferred to Twinkle", scenes.outbound, 0, 1)
play("Linphone calls Twinkle", scenes.internal, 0, 1)
play("the target is busy: they talk on, the second try works (E-025, E-079)",
     scenes.busy_stays, 0, 1)
play("Linphone consults Twinkle and connects them (E-085)", scenes.attended, 0, 1)
play("Linphone calls the customer, consults Twinkle and connects them (E-085)",
     scenes.attended_outbound, 0, 1)
play("Linphone consults Twinkle and takes the customer back", scenes.backed_out, 0, 1)
play("Linphone connects them while Twinkle rings (E-086)", scenes.attended_early, 0, 1)

if __name__ == "__main__":
    tap.main(lambda: Phones(Linphone, Twinkle), jobs=1)
