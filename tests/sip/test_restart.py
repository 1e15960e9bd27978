"""What outlives the daemon: registrations; and what does not: ids of calls."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, pick_up, ring
from segued import Lab


@tap.case("a phone registered before a restart is called after it, by its old address")
def registered(lab):
    phone, gone = lab.phone(), lab.phone()
    gone.register(expires=0)
    lab.daemon.stop()
    lab.restart()
    assert lab.daemon.log("registrations_read"), "nothing was read"
    trunk = lab.trunk()
    c, a = ring(trunk, phone.number, phone)
    pick_up(c, a)
    end(c, a)
    c = lab.trunk().invite(gone.number)
    c.expect(480, method="INVITE")


@tap.case("a phone registered before a kill is called after it")
def registered_killed(lab):
    phone = lab.phone()
    lab.registered(phone)
    lab.daemon.kill()
    lab.restart()
    c, a = ring(lab.trunk(), phone.number, phone)
    pick_up(c, a)
    end(c, a)


@tap.case("a file of registrations that is damaged: one warning, and the daemon runs")
def damaged(lab):
    phone = lab.phone()
    lab.daemon.stop()
    path = os.path.join(lab.dir, "registrations")
    with open(path, "a") as f:
        f.write("rubbish\n")
    lab.restart()
    assert lab.daemon.log(r"warn .*registrations_read.* skipped=1"), lab.daemon.lines[:20]
    c, a = ring(lab.trunk(), phone.number, phone)
    c.cancel()
    c.expect(487, method="INVITE")
    lab.daemon.stop()
    with open(path, "wb") as f:
        f.write(os.urandom(5000))
    lab.restart()
    assert lab.daemon.log(r"warn .*registrations_read.* error="), lab.daemon.lines[:20]
    phone.register()


@tap.case("who calls in the very moment in which segued is back is not told that nobody has this number")
def at_once(lab):
    phone, trunk = lab.phone(), lab.trunk()
    for _ in range(5):
        lab.registered(phone)
        lab.daemon.kill()
        lab.start()
        c = trunk.invite(phone.number)
        for _ in range(4000):  # sent again and again, to be the first that segued hears
            rung = phone.take("INVITE", 0.005)
            if rung or c.holds(range(300, 700)):
                break
            c.send(c.last_invite)
        assert rung, [str(x) for x in c.box]
        a = phone.calls[rung.call_id]
        a.reply(180)
        c.expect(180)
        c.cancel()
        c.expect(487, method="INVITE")
        a.expect("CANCEL")
        lab.wait_ready()


def call_id(lab):
    """The id of the one call that there is."""
    return re.search(r"^(\d+\.\d+) ", lab.seguectl("calls"), re.M)[1]


@tap.case("an id of the process before is no id of a call of now, in whatever order they come")
def other_ids(lab):
    phone = lab.phone()
    lab.registered(phone)
    c, _ = ring(lab.trunk(), phone.number, phone)
    before = call_id(lab)
    c.cancel()
    c.expect(487, method="INVITE")
    lab.daemon.kill()
    lab.restart()
    c, a = ring(lab.trunk(), phone.number, phone)
    now = call_id(lab)
    assert before.split(".")[0] == now.split(".")[0] and before != now, (before, now)
    refused = lab.seguectl("hangup", before, ok=False)
    assert f"no call {before}" in refused, refused
    pick_up(c, a)
    end(c, a)


if __name__ == "__main__":
    tap.main(Lab, jobs=1)
