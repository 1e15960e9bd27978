"""Two segued on one database: what a REFER replaces may be on the other one (E-090)."""
import os
import subprocess
import sys
import time
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import pg
import segued
import tap
from desk import Desk
from flows import end, final_notify, joined, pick_up, ring, sipfrag, talk, wait
from web import WebLab

LOCATE_MS = 1500
FAKES = {56: 8, 58: 9}  # peers that pass for nodes: Uas of the tests


def peer_conf(i):
    return f"node = {FAKES[i]};" if i in FAKES else ""


def node_peer(n, ip, port):
    return (f'{{ name = "node{n}"; address = [ "{ip}:{port}" ]; node = {n}; trusted = true; }}')


class Nodes(segued.Lab):
    """Node 1 with peers and phones; node 2 beside it, for phones alone."""

    def __init__(self, **kw):
        ips = ("127.0.2.1", "127.0.2.2")
        ports = [segued.free_port(ip) for ip in ips]
        control = lambda n: f'node = {n}; locate = "{LOCATE_MS}ms";'
        super().__init__(ip=ips[0], port=ports[0], control=control(1), peer_conf=peer_conf,
                         more_peers=[node_peer(2, ips[1], ports[1])], **kw)
        self.second = lambda: segued.Lab(
            cluster=self.cluster, database=self.db, users=self.nusers, ip=ips[1],
            port=ports[1], peers=0,
            control=control(2), more_peers=[node_peer(1, ips[0], ports[0])])

    def __enter__(self):
        super().__enter__()
        try:
            self.two = self.second().__enter__()
        except BaseException:
            super().__exit__(None, None, None, quiet=True)
            raise
        return self

    def __exit__(self, *exc, **kw):
        try:
            if getattr(self, "two", None):
                self.two.__exit__(*exc, **kw)
        finally:
            super().__exit__(*exc, **kw)

    def elsewhere(self, phone):
        """A phone of the same user, registered on node 2."""
        other = self.named(int(phone.user[1:]), server=(self.two.ip, self.two.port))
        other.register()
        return other

    def shared(self, x):
        """The row of the dialog that a phone calls x."""
        return self.rows("select d.*, n.seen_at from segue.dialogs d left join segue.nodes n "
                         f"using (node) where call_id = '{x.call_id}'")


class Twin(WebLab):
    """A third segued, which has the number of the second by mistake."""

    def __init__(self, lab):
        super().__init__(cluster=lab.cluster, database=lab.db, users=lab.nusers, peers=0, ip="127.0.2.3",
                         control=f'node = 2; locate = "{LOCATE_MS}ms";')

    def ready(self):
        return self.nobody().get("//readyz").json


def hold(x):
    x.reinvite(x.sdp.copy(dir="sendonly"))


def replacing(x, lab, number):
    name = quote(f"{x.call_id};to-tag={x.remote_tag};from-tag={x.local_tag}", safe="")
    return f"<sip:{number}@{lab.domain}?Replaces={name}>"


def consult_there(lab, a, agent):
    """A holds his caller and calls somebody through node 2; the other nodes know of it."""
    hold(a)
    phone2, b_phone = lab.elsewhere(agent), lab.elsewhere(lab.user())
    a2, b = ring(phone2, b_phone.number, b_phone)
    pick_up(a2, b)
    wait("the consultation is in the shared table", lambda: lab.shared(a2))
    return a2, b, b_phone


def rings_there(lab, a, agent):
    """The same, and nobody has answered yet."""
    hold(a)
    phone2, b_phone = lab.elsewhere(agent), lab.elsewhere(lab.user())
    a2, b = ring(phone2, b_phone.number, b_phone)
    wait("the call that rings is in the shared table", lambda: lab.shared(a2))
    return a2, b, b_phone


def waiting(lab, phone, desk):
    """A call of that phone in the queue, or None: the queue is not known yet."""
    x = phone.invite(desk.number)
    wait("it is refused, or waits", lambda: x.holds(404) or x.holds(180))
    return x if x.holds(180) else None


def handed_over(lab, c, b, *dialogs):
    """C and B talk over both nodes, and the agent is out of it."""
    for x in dialogs:
        if not x.ended:
            x.expect("BYE")
    wait("the two are told of the nodes between them", lambda: c.remote_sdp and b.remote_sdp
         and c.remote_sdp.port() == b.sdp.port and b.remote_sdp.port() == c.sdp.port)
    joined(c, b)


def linked_ledgers(lab, c, b_user, a2):
    """One conversation on each node; that of the takeover names the other."""
    led = lab.ledger(c)
    there = lab.ledger(a2.call_id)
    first, second = led.conversation, there.conversation
    assert {first["linked_to"], second["linked_to"]} in (
        {None, second["id"]}, {None, first["id"]}), (first, second)
    assert [s for s in there.segments if s["who"] == b_user and s["talk_ms"] > 0], there
    return led, there


@tap.case("E-090 REFER on node 1 replaces a dialog on node 2: C and B talk, both agent legs end")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = consult_there(lab, a, agent)
    row, = lab.shared(a2)
    assert (row["node"], row["user_name"]) == (2, agent.user), row
    a.refer(replacing(a2, lab, b_phone.number))
    a.expect(202, method="REFER")
    assert sipfrag(a.expect("NOTIFY")) == 100
    handed_over(lab, c, b, a2)
    final_notify(a, 200)
    a.expect("BYE")
    wait("the dialogs are in the table no longer",
         lambda: not lab.shared(a2) and not lab.shared(a))
    end(c, b)
    led, there = linked_ledgers(lab, c, b_phone.user, a2)
    t = led.transfers[-1]
    assert (t["kind"], t["outcome"], t["asker"]) == ("consult", "completed", agent.user), t
    assert led.conversation["n_consult"] == 1
    assert there.conversation["linked_to"] == led.conversation["id"]
    assert there.conversation["case_id"] == led.conversation["case_id"], (led, there)
    outside = [s for s in led.segments if s["kind"] == "external"]
    assert len(outside) == 1 and outside[0]["who"] == "node2" and outside[0]["talk_ms"] > 0, led
    assert led.segment(agent.user)["outcome"] == "transferred", led
    assert there.segment(agent.user)["outcome"] == "transferred", there


@tap.case("E-090 E-093 REFER on the consult dialog of node 2 replaces the customer's on node 1")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = consult_there(lab, a, agent)
    wait("the first call is in the table", lambda: lab.shared(a))
    a2.refer(replacing(a, lab, agent.number))
    a2.expect(202, method="REFER")
    handed_over(lab, c, b, a)
    final_notify(a2, 200)
    a2.expect("BYE")
    end(c, b)
    led, there = linked_ledgers(lab, c, b_phone.user, a2)
    assert led.conversation["linked_to"] == there.conversation["id"]
    assert there.transfers[-1]["outcome"] == "completed", there


@tap.case("E-090 the agent called the customer, and is called by B on node 2")
def _(lab):
    agent, trunk = lab.phone(), lab.trunk()
    a, c = ring(agent, lab.outside(trunk, "300123"), trunk)
    pick_up(a, c)
    hold(a)
    phone2, b_phone = lab.elsewhere(agent), lab.elsewhere(lab.user())
    b, a2 = ring(b_phone, phone2.number, phone2)
    pick_up(b, a2)
    wait("the second call is in the table", lambda: lab.shared(a2))
    a.refer(replacing(a2, lab, b_phone.number))
    a.expect(202, method="REFER")
    handed_over(lab, c, b, a2)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(a)
    assert led.transfers[-1]["outcome"] == "completed", led


@tap.case("E-090 E-001 the phone hangs up both dialogs as soon as it has its 202")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = consult_there(lab, a, agent)
    a.refer(replacing(a2, lab, b_phone.number))
    a.expect(202, method="REFER")
    a.hangup()
    handed_over(lab, c, b, a2)
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] == "completed", led


@tap.case("E-090 E-089 no node has the dialog: 481 in the final NOTIFY, C stays with the agent")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    hold(a)
    a.refer(f"<sip:{agent.number}@{lab.domain}?Replaces=nobody%3Bto-tag%3Da%3Bfrom-tag%3Db>")
    a.expect(202, method="REFER")
    final_notify(a, 481)
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    joined(c, a)
    end(c, a)
    t, = lab.ledger(c).transfers
    assert (t["outcome"], t["sip_status"]) == ("failed", 481), t


@tap.case("E-090 E-092 one tag is wrong, or both are swapped: nobody's dialog")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = consult_there(lab, a, agent)
    for to, by in ((a2.remote_tag, "x" + a2.local_tag), (a2.local_tag, a2.remote_tag)):
        name = quote(f"{a2.call_id};to-tag={to};from-tag={by}", safe="")
        a.refer(f"<sip:{b_phone.number}@{lab.domain}?Replaces={name}>")
        a.expect(202, method="REFER")
        final_notify(a, 481)
    end(c, a)
    end(a2, b)


@tap.case("E-090 E-088 the dialog ended on node 2 a moment ago: C stays with the agent")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = consult_there(lab, a, agent)
    refer_to = replacing(a2, lab, b_phone.number)
    end(a2, b)
    a.refer(refer_to)
    a.expect(202, method="REFER")
    assert final_notify(a) in (481, 603)
    end(c, a)
    assert lab.ledger(c).transfers[0]["outcome"] == "failed"


@tap.case("E-090 E-086 what REFER replaces still rings on node 2: B rings on for C, who is told so; NOTIFY 180, 200")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = rings_there(lab, a, agent)
    a.refer(replacing(a2, lab, b_phone.number))
    a.expect(202, method="REFER")
    assert sipfrag(a.expect("NOTIFY")) == 100
    assert sipfrag(a.expect("NOTIFY")) == 180
    a2.expect(487)
    b.expect_none("CANCEL", 0.1)
    b.answer()
    b.expect("ACK")
    handed_over(lab, c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)
    led, there = linked_ledgers(lab, c, b_phone.user, a2)
    t = led.transfers[-1]
    assert (t["kind"], t["outcome"], t["asker"]) == ("semi", "completed", agent.user), t
    assert led.conversation["n_semi"] == 1, led.conversation
    assert there.segment(agent.user)["outcome"] == "transferred", there
    assert there.segment(agent.user)["talk_ms"] == 0, there


@tap.case("E-090 E-086 .. and B refuses: 486 in the final NOTIFY, C is back with the agent")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = rings_there(lab, a, agent)
    a.refer(replacing(a2, lab, b_phone.number))
    a.expect(202, method="REFER")
    a2.expect(487)
    b.reply(486)
    final_notify(a, 486)
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    joined(c, a)
    end(c, a)
    t, = lab.ledger(c).transfers
    assert (t["kind"], t["outcome"], t["sip_status"]) == ("semi", "failed", 486), t


@tap.case("E-090 E-094 the agent's call waits in a queue on node 2: C takes over the place")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    hold(a)
    phone2, b_phone = lab.elsewhere(agent), lab.elsewhere(lab.user())
    desk = Desk(lab.two, b_phone)
    a2 = wait("node 2 has the queue", lambda: waiting(lab, phone2, desk))
    b = b_phone.incoming()
    b.reply(180)
    wait("that call is in the shared table", lambda: lab.shared(a2))
    a.refer(replacing(a2, lab, desk.number))
    a.expect(202, method="REFER")
    a2.expect(487)
    b.answer()
    b.expect("ACK")
    handed_over(lab, c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)
    led, there = linked_ledgers(lab, c, b_phone.user, a2)
    assert led.transfers[-1]["kind"] == "semi", led.transfers
    assert there.segment(desk.name)["outcome"] == "answered", there


@tap.case("E-090 E-095 the dialog on node 2 is somebody else's: as if it were nowhere")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    x_phone, y_phone = lab.elsewhere(lab.user()), lab.elsewhere(lab.user())
    x, y = ring(x_phone, y_phone.number, y_phone)
    pick_up(x, y)
    wait("that call is in the shared table", lambda: lab.shared(x))
    a.refer(replacing(x, lab, y_phone.number))
    a.expect(202, method="REFER")
    final_notify(a, 481)
    end(x, y)
    end(c, a)


@tap.case("E-090 E-096 R-051 who is no node replaces nothing that still rings: 481, and it rings on")
def _(lab):
    agent = lab.phone()
    phone2, b_phone = lab.elsewhere(agent), lab.elsewhere(lab.user())
    a2, b = ring(phone2, b_phone.number, b_phone)
    name = f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}"
    x = lab.elsewhere(agent).invite(b_phone.number, headers=[("Replaces", name)])
    x.expect(481)
    pick_up(a2, b)
    end(a2, b)


# ---- what goes to the other node ------------------------------------------------------------------


def pretend(lab, node, call_id, agent, tag="there", remote="phone", seen="now()"):
    """Another node, alive, has this dialog of the agent's."""
    lab.sql(f"insert into segue.nodes values ({node}, 'test', now(), {seen}) on conflict (node) do "
            f"update set seen_at = excluded.seen_at; insert into segue.dialogs values ({node}, "
            f"'{tag}-{call_id}', '{remote}', '{call_id}', '{agent.user}')")
    tap.at_end(lambda: lab.sql(f"delete from segue.dialogs where call_id = '{call_id}'"))


def names(lab, call_id, number):
    name = quote(f"{call_id};to-tag=there-{call_id};from-tag=phone", safe="")
    return f"<sip:{number}@{lab.domain}?Replaces={name}>"


@tap.case("E-090 R-056 the INVITE: Replaces as the other node knows it, C's number, Referred-By")
def _(lab):
    node, trunk = lab.trunk(index=58), lab.trunk()
    agent = lab.phone()
    c, a = talk(lab, agent, trunk=trunk)
    hold(a)
    pretend(lab, FAKES[58], "ab/c%d@there", agent)
    a.refer(names(lab, "ab/c%d@there", "4711"), [("Referred-By", "<sip:me@phone.test>;x=1")], False)
    a.expect(202, method="REFER")
    b = node.incoming()
    i = b.invite
    assert i.all("Replaces") == ["ab/c%d@there;to-tag=there-ab/c%d@there;from-tag=phone"], str(i)
    assert i.get("Require") == "replaces" and i.uri.startswith("sip:4711@"), str(i)
    assert i.get("Referred-By") == "<sip:me@phone.test>;x=1", str(i)
    assert trunk.number in i.get("From"), str(i)
    conv = lab.conversation(c, final=False)
    assert i.get("X-Segue-Conversation") == conv["id"], str(i)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    end(c, b)


@tap.case("E-090 that node refuses with 481: the phone hears it, C is back with the agent")
def _(lab):
    node, agent = lab.trunk(index=56), lab.phone()
    c, a = talk(lab, agent)
    pretend(lab, FAKES[56], "gone@there", agent)
    a.refer(names(lab, "gone@there", "4711"))
    a.expect(202, method="REFER")
    node.incoming().reply(481)
    final_notify(a, 481)
    end(c, a)
    assert lab.ledger(c).transfers[0]["outcome"] == "failed"


@tap.case("E-090 a node that was silent for 30 s, one without a peer, two that claim one dialog: unknown")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    pretend(lab, 200, "silent@there", agent, seen="now() - interval '31 s'")
    pretend(lab, 201, "nopeer@there", agent)
    pretend(lab, 202, "twice@there", agent)
    pretend(lab, 203, "twice@there", agent)
    for dialog in ("silent@there", "nopeer@there", "twice@there"):
        a.refer(names(lab, dialog, "4711"))
        a.expect(202, method="REFER")
        final_notify(a, 481)
    end(c, a)


@tap.case("E-090 who is no node says which conversation it is: not believed")
def _(lab):
    c, a = talk(lab, lab.phone())
    there = "0190c7f0-0000-7000-8000-000000000001"
    stranger = lab.trunk()
    x = stranger.invite("2000", headers=[
        ("Replaces", f"{a.call_id};to-tag={a.remote_tag};from-tag={a.local_tag}"),
        ("X-Segue-Conversation", there)])
    x.expect(403)
    end(c, a)
    assert lab.ledger(c).conversation["linked_to"] is None


@tap.case("E-090 two segued with one number: the second touches nothing of the first, says so, and carries calls")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    a2, b, b_phone = consult_there(lab, a, agent)
    was = lab.rows("select * from segue.nodes where node = 2")[0]
    with Twin(lab) as twin:
        line = twin.daemon.wait_log(" node_number_taken ", timeout=60)
        assert "control.node=2" in line and f"by=udp:{lab.two.ip}:{lab.two.port}" in line, line
        assert f"udp:{lab.two.ip}:{lab.two.port}" in twin.ready()["node_taken_by"], twin.ready()
        assert twin.ready()["ok"] is True
        x_phone, y_phone = twin.phone(), twin.phone()
        x, y = ring(x_phone, y_phone.number, y_phone)
        pick_up(x, y)
        end(x, y)
        now = lab.rows("select * from segue.nodes where node = 2")[0]
        assert (now["identity"], now["started_at"]) == (was["identity"], was["started_at"]), now
    assert lab.shared(a2), "the twin has left: what it did not write it does not take out"
    a.refer(replacing(a2, lab, b_phone.number))
    a.expect(202, method="REFER")
    handed_over(lab, c, b, a2)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-090 who has the number is silent for 30 s: another segued of that number takes it")
def _(lab):
    with Nodes(cluster=lab.cluster, peers=4) as own:
        own.two.daemon.kill()
        own.sql("update segue.nodes set seen_at = now() - interval '31 s' where node = 2")
        with Twin(own) as twin:
            twin.daemon.wait_log(" dialogs_shared", timeout=60)
            assert "node_taken_by" not in twin.ready(), twin.ready()
            own.two.restart()
            own.two.daemon.wait_log(" node_number_taken ", timeout=20)


# ---- when the database does not answer, and restarts ----------------------------------------------


@tap.case("E-090 the database hangs: 481 when control.locate has passed, calls go on meanwhile")
def _(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    lock = subprocess.Popen(["psql", "-X", "-q", "-d", lab.conninfo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        lock.stdin.write("begin; lock table segue.dialogs in access exclusive mode;\n\\echo held\n")
        lock.stdin.flush()
        assert any("held" in line for line in iter(lock.stdout.readline, ""))
        began = time.monotonic()
        a.refer(names(lab, "hangs@there", "4711"))
        a.expect(202, method="REFER")
        c2, a2 = talk(lab)
        final_notify(a, 481)
        assert time.monotonic() - began > LOCATE_MS / 1000 - 0.1
        end(c2, a2)
    finally:
        lock.communicate("rollback;\n\\q\n", timeout=20)
    end(c, a)
    t, = lab.ledger(c).transfers
    assert (t["outcome"], t["sip_status"]) == ("failed", 481), t


@tap.case("E-090 node 2 is killed and starts again: what it had said before is gone; an orderly end")
def _(lab):
    with Nodes(cluster=lab.cluster, peers=4) as own:
        agent = own.phone()
        c, a = talk(own, agent)
        a2, b, b_phone = consult_there(own, a, agent)
        own.two.daemon.kill()
        assert own.shared(a2), "a row outlives the process that wrote it"
        own.two.restart()
        wait("the stale row is gone", lambda: not own.shared(a2))
        a.refer(replacing(a2, own, b_phone.number))
        a.expect(202, method="REFER")
        final_notify(a, 481)
        x_phone, y_phone = own.elsewhere(own.user()), own.elsewhere(own.user())
        x, y = ring(x_phone, y_phone.number, y_phone)
        pick_up(x, y)
        wait("a new dialog is in the table", lambda: own.shared(x))
        end(x, y)
        end(c, a)
        own.two.daemon.stop()
        assert not own.rows("select * from segue.nodes where node = 2")
        assert not own.rows("select * from segue.dialogs where node = 2")


@tap.case("E-090 E-123 PostgreSQL is away: 481 at once; when it is back, all that is live is shared")
def _(lab):
    with Nodes(cluster=pg.Cluster(), peers=4, users=12, t={"resume": 60000}) as own:
        agent = own.phone()
        c, a = talk(own, agent)
        a2, b, b_phone = consult_there(own, a, agent)
        refer_to = replacing(a2, own, b_phone.number)
        own.cluster.stop()
        x_phone, y_phone = own.elsewhere(own.user()), own.elsewhere(own.user())
        x, y = ring(x_phone, y_phone.number, y_phone)
        pick_up(x, y)
        a.refer(refer_to)
        a.expect(202, method="REFER")
        final_notify(a, 481)
        marks = own.daemon.mark(), own.two.daemon.mark()
        own.cluster.start()
        for daemon, mark in zip((own.daemon, own.two.daemon), marks):
            daemon.wait_log(" dialogs_shared", since=mark, timeout=60)
        wait("both dialogs are in the table again",
             lambda: own.shared(x) and own.shared(a2), 20)
        a.refer(refer_to)
        a.expect(202, method="REFER")
        handed_over(own, c, b, a2)
        final_notify(a, 200)
        end(c, b)
        end(x, y)
        assert [t["outcome"] for t in own.ledger(c).transfers] == ["failed", "completed"]


if __name__ == "__main__":
    tap.main(Nodes)
