"""Queues and agents on the wire."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from segued import Lab


@tap.case("E-109 a phone that does not answer OPTIONS is noticed, and that it is back")
def silent_phone(lab):
    a = lab.phone()
    m = a.expect("OPTIONS")
    assert m.from_tag and not m.to_tag and m.uri == a.contact, m
    mark = lab.daemon.mark()
    a.drop = lambda m: True
    lab.daemon.wait_log(f"contact_silent.*user={a.user}", since=mark)
    a.drop = None
    lab.daemon.wait_log(f"contact_answers.*user={a.user}", since=mark)
    a.register(expires=0, contacts=["*"])


tap.main(lambda: Lab(users=30, peers=20, sip='qualify = "1s"; t1 = "100ms";'))
