"""The ledger under trouble: how fast rows come, a database that goes away, a daemon that ends."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import pg
import tap
from flows import end, final_notify, is_final, joined, pick_up, refer, ring, sipfrag, talk, transfer, wait
from segued import Lab


def conversations(lab, calls):
    ids = ",".join(f"'{c.call_id}'" for c in calls)
    return lab.rows(f"select * from segue.conversations where sip_call_id in ({ids})")


@tap.case("rows appear within 1 s of the event and are final within 2 s of the end")
def prompt(lab):
    tries = []
    while not any(opened < 1 and final < 2 for opened, final in tries):
        assert len(tries) < 5, f"seconds until the row was there, and final: {tries}"
        c, a = talk(lab)
        seconds = []
        for final in (False, True):
            began = time.monotonic()
            lab.conversation(c, final=final)
            seconds.append(time.monotonic() - began)
            c.ended or c.hangup()
        tries.append(seconds)
        assert all(s["ended_at"] for s in lab.ledger(c).segments)


def around(fn, *args):
    """The result of fn, and when it began and had ended: whatever it does happened in between."""
    began = time.monotonic()
    return fn(*args), (began, time.monotonic())


def fits(ms, *spans):
    """A time on record can be the sum of what lay between the two happenings of each pair."""
    least = 1000 * sum(last[0] - first[1] for first, last in spans)
    most = 1000 * sum(last[1] - first[0] for first, last in spans)
    assert least - len(spans) <= ms <= most + len(spans), (least, ms, most)


@tap.case("records.md example 1: three people, two transfers; talk, ring and limbo add up exactly")
def example_1(lab):
    me, saul = lab.phone(), lab.phone()
    (c, a), begun = around(talking, lab, me)
    time.sleep(0.3)  # the talk that is measured
    b, left, met = blind_after_leaving(lab, c, a, saul, 0.2)
    time.sleep(0.4)
    again, left_again, met_again = blind_after_leaving(lab, c, b, me, 0.1)
    time.sleep(0.2)
    _, over = around(end, c, again)
    led = lab.ledger(c)
    assert [s["who"] for s in led.segments] == [me.user, saul.user, me.user], led.segments
    talked, conv = [s["talk_ms"] for s in led.segments], led.conversation
    for ms, first, last in zip(talked, (begun, met, met_again), (left, left_again, over)):
        fits(ms, (first, last))
    assert conv["talk_ms"] == sum(talked), (conv, talked)
    fits(conv["limbo_ms"], (begun, begun), (left, met), (left_again, met_again))
    parts = sum(conv[k] for k in ("ring_ms", "wait_ms", "talk_ms", "hold_ms", "held_ms", "consult_ms",
                                  "limbo_ms", "ivr_ms"))
    assert abs(conv["total_ms"] - parts) <= 1, conv
    assert [t["outcome"] for t in led.transfers] == ["completed"] * 2 and conv["n_blind"] == 2


def talking(lab, agent):
    """A customer talks with that agent, and segue knows."""
    mark = lab.daemon.mark()
    calls = talk(lab, agent)
    lab.daemon.wait_log(f" answered actor={agent.user} ", since=mark)
    return calls


def blind_after_leaving(lab, c, a, phone, ring_s):
    """A transfers and leaves at once; the target rings for a while, then answers. The target's call;
    when A left; when they were joined."""
    mark = lab.daemon.mark()
    refer(lab, a, phone.number)
    b = phone.incoming()
    b.reply(180)
    _, left = around(a.hangup)
    time.sleep(ring_s)  # the ringing that is measured

    def answer():
        b.answer()
        b.expect("ACK")
        joined(c, b)
        lab.daemon.wait_log(f" answered actor={phone.user} ", since=mark)
    _, met = around(answer)
    return b, left, met


@tap.case("records.md example 8: the caller leaves while B rings")
def example_8(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    c.hangup()
    b.expect("CANCEL")
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "abandoned", led.transfers
    s = led.segment(target.user)
    assert s["outcome"] == "cancelled_caller_left" and s["talk_ms"] == 0, s


@tap.case("an open case: the next call of that customer joins it; the owner is who answered last")
def case_join(lab):
    trunk = lab.trunk()
    one, two = lab.phone(), lab.phone()
    c, a = talk(lab, one, trunk=trunk)
    end(c, a)
    first = lab.ledger(c).conversation["case_id"]
    c, a = talk(lab, two, trunk=trunk)
    end(c, a)
    assert lab.ledger(c).conversation["case_id"] == first
    assert lab.rows(f"select owner from segue.cases where id = '{first}'")[0]["owner"] == two.user
    view = lab.rows(f"select * from segue.case_timeline where case_id = '{first}'")
    assert len(view) > 4, view


@tap.case("a new row in users is known at once; a disabled user is refused")
def directory(lab):
    phone = lab.user()
    phone.user, phone.dial, phone.password = "fresh", "7001", "pw-fresh"
    phone.contact = phone.contact.replace("sip:u", "sip:f", 1)
    lab.add_user("fresh", "7001", password="pw-fresh")
    wait("the new user can register", lambda: phone.register(ok=range(200, 700)).status == 200)
    c, a = ring(lab.trunk(), "7001", phone)
    a.reply(486)
    c.expect(486)
    lab.sql("update segue.users set enabled = false where name = 'fresh'")
    wait("the disabled user is refused", lambda: phone.register(ok=range(200, 700)).status != 200)


# These stop things that all share, so they come last and alone (jobs = 1).


@tap.case("E-123 PostgreSQL stopped under calls and transfers: they work, rows come once, in order")
def outage(lab):
    live, la = talk(lab)
    lab.cluster.stop()
    calls = [live]
    for _ in range(4):
        c, a = talk(lab)
        b = transfer(lab, c, a, lab.phone())
        end(c, b)
        calls.append(c)
    end(live, la)
    c, a = talk(lab)
    calls.append(c)
    lab.cluster.start()
    end(c, a)
    for c in calls:
        led = lab.ledger(c, timeout=20)
        assert len(led.conversation) and led.types().count("conversation_ended") == 1
    assert len(conversations(lab, calls)) == len(calls)
    for c in calls[1:5]:
        assert [t["outcome"] for t in lab.ledger(c).transfers] == ["completed"]


@tap.case("E-123 a crash of PostgreSQL (immediate): nothing lost, nothing doubled")
def crash_pg(lab):
    c, a = talk(lab)
    lab.cluster.stop("immediate")
    end(c, a)
    lab.cluster.start()
    led = lab.ledger(c, timeout=20)
    assert led.types().count("answered") == 1, led.types()


@tap.case("segued starts and routes from its last copy while the database is away")
def start_without_db(lab):
    phone = lab.phone()
    lab.daemon.stop()
    lab.cluster.stop()
    try:
        lab.restart()
        phone.register()
        c, a = talk(lab, phone)
        end(c, a)
    finally:
        lab.cluster.start()
    lab.ledger(c)


@tap.case("SIGTERM in a call: both sides get BYE, rows are final, exit 0")
def sigterm(lab):
    c, a = talk(lab)
    time.sleep(0.05)  # the talk that is measured
    lab.daemon.stop()
    c.expect("BYE")
    a.expect("BYE")
    lab.restart()
    led = lab.ledger(c)
    assert led.segments[0]["talk_ms"] > 0, led


@tap.case("E-124 kill -9 in a call: after the start nothing is doubled and new calls work")
def sigkill(lab):
    c, a = talk(lab)
    lab.conversation(c, final=False)
    lab.daemon.kill()
    lab.restart()
    for x in (c, a):
        x.ended = True
    c2, a2 = talk(lab)
    end(c2, a2)
    lab.ledger(c2)
    assert len(conversations(lab, [c])) == 1


@tap.case("SIGHUP reloads the config; a broken one is refused and the old one stays")
def sighup(lab):
    text = open(lab.conf).read()
    mark = lab.daemon.mark()
    with open(lab.conf, "w") as f:
        f.write(text.replace('ring = "6000ms"', 'ring = "nonsense"'))
    lab.daemon.proc.send_signal(1)
    lab.daemon.wait_log("nonsense", since=mark)
    c, a = talk(lab)
    end(c, a)
    mark = lab.daemon.mark()
    with open(lab.conf, "w") as f:
        f.write(text.replace('ring = "6000ms"', 'ring = "1000ms"'))
    lab.daemon.proc.send_signal(1)
    lab.daemon.wait_log("reload", since=mark)
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    target.incoming().reply(180)
    told = a.expect("NOTIFY", where=is_final)
    assert sipfrag(told) in (408, 480), str(told)
    assert told.at - a.sent["REFER"].at < 5.9, "T_ring is 1 s now, and was 6 s"
    end(c, a)


if __name__ == "__main__":
    tap.main(lambda: Lab(cluster=pg.Cluster()), jobs=1)
