"""Real phones whose audio runs through rtpengine: who hears whom, and who hears music."""
import os
import sys
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), d) for d in ("../lib", ".")]

import engine
import scenes
import tap
from phones import Baresip, Linphone, Phones, Twinkle, play

LINPHONE, TWINKLE, BARESIP = range(3)
KINDS = Linphone, Twinkle, Baresip

for role, kind in enumerate(KINDS):
    play(f"{kind.__name__} holds the customer, who hears music, and resumes",
         scenes.hold_and_resume, role)
for role, kind in enumerate(KINDS):
    target = (role + 1) % len(KINDS)
    play(f"{kind.__name__} holds, then transfers to {KINDS[target].__name__} (E-049)",
         scenes.blind_from_hold, role, target)
    play(f"{kind.__name__} transfers and leaves while {KINDS[target].__name__} rings: music (E-001)",
         scenes.leaves_early, role, target)
play("Linphone to baresip and back (E-074)", scenes.there_and_back, LINPHONE, BARESIP)
play("an outbound call of Twinkle is transferred to baresip", scenes.outbound, TWINKLE, BARESIP)
play("an outbound call of Linphone is transferred to Twinkle", scenes.outbound, LINPHONE, TWINKLE)
play("an outbound call of baresip is transferred to Linphone", scenes.outbound, BARESIP, LINPHONE)
for role, kind in enumerate(KINDS):
    play(f"click-to-dial with {kind.__name__}: early media, then they talk", scenes.dialled_for, role)
play("baresip calls Twinkle", scenes.internal, BARESIP, TWINKLE)
play("the target is busy: Twinkle and the customer hear each other, the second try works (E-025)",
     scenes.busy_stays, TWINKLE, LINPHONE)
play("the target is busy and baresip hangs up on that: it is recalled (E-002)",
     scenes.busy_is_hung_up, BARESIP)
play("the same in a call that baresip has made (E-002)", scenes.busy_is_hung_up_outbound, BARESIP)
play("Linphone consults Twinkle and connects them (E-085)", scenes.attended, LINPHONE, TWINKLE)
play("Twinkle consults baresip and connects them (E-085)", scenes.attended, TWINKLE, BARESIP)
play("Linphone calls the customer, consults baresip and connects them (E-085)",
     scenes.attended_outbound, LINPHONE, BARESIP)
play("Twinkle calls the customer, consults Linphone and connects them (E-085)",
     scenes.attended_outbound, TWINKLE, LINPHONE)
play("Twinkle consults Linphone and takes the customer back", scenes.backed_out, TWINKLE, LINPHONE)
play("Linphone connects them while baresip rings (E-086)", scenes.attended_early, LINPHONE, BARESIP)

if __name__ == "__main__":
    with engine.Engine() as e:
        tap.main(lambda: Phones(*KINDS, music=engine.MUSIC, conf=e.conf()), jobs=1)
