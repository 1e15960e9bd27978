"""Outgoing webhooks: facts arrive signed and in order, whatever the other side does meanwhile."""
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import schema
import tap
from flows import end, talk, transfer, wait
from segued import Daemon
from web import WebLab

SECRET = "of the two of us"


class Crm:
    """Somebody else's program: takes posts, answers with `status`."""

    def __init__(self, port=0):
        self.facts, self.bad, self.posts, self.status = [], [], 0, 204
        crm = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                crm.take(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/facts"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, r):
        body = r.rfile.read(int(r.headers["Content-Length"]))
        stamp = r.headers["X-Segue-Timestamp"]
        right = "sha256=" + hmac.new(SECRET.encode(), stamp.encode() + b"." + body,
                                     hashlib.sha256).hexdigest()
        self.posts += 1
        if r.headers["X-Segue-Signature"] != right:
            self.bad.append(dict(r.headers))
        try:
            schema.check_webhook(json.loads(body))
        except schema.Wrong as e:
            self.bad.append(e)
        if self.status < 300:
            self.facts += json.loads(body)["facts"]
        r.send_response(self.status)
        r.send_header("Content-Length", "0")
        r.end_headers()

    def of(self, conv):
        return [f for f in self.facts if f["data"].get("conv") == conv]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


def lab_for(crm, facts="", lab=WebLab):
    return lab(users=8, peers=3, conf=f"""
webhooks = ( {{ name = "crm"; url = "{crm.url}"; secret = "{SECRET}"; {facts} }} );""")


class SmallLab(WebLab):
    """With the smallest outbox that there is."""

    def config(self):
        return super().config().replace('outbox_size = "256MB"', 'outbox_size = "16MB"')


def check(crm, led):
    """Each fact once, in order, and those that the tables were made of."""
    conv = led.conversation["id"]
    seqs = lambda: [f["data"]["seq"] for f in crm.of(conv) if f["type"] == "timeline"]
    wait("the timeline has arrived", lambda: seqs() == [t["seq"] for t in led.timeline], 60)
    ids = [f["id"] for f in crm.facts]
    assert ids == sorted(set(ids)), ids
    assert not crm.bad, crm.bad
    types = [f["type"] for f in crm.of(conv)]
    assert types[0] == "conversation_opened" and types.count("conversation_closed") == 1, types


@tap.case("facts arrive as they happen: each once, in order, signed")
def plain(_):
    with Crm() as crm, lab_for(crm) as lab:
        c, a = talk(lab)
        b = transfer(lab, c, a, lab.phone())
        end(c, b)
        led = lab.ledger(c)
        check(crm, led)
        moved = [f for f in crm.facts if f["type"] == "transfer_closed"]
        assert [f["data"]["outcome"] for f in moved] == ["completed"], moved


@tap.case("only the types that were asked for")
def some(_):
    with Crm() as crm, lab_for(crm, 'facts = [ "transfer_closed", "case_owner" ];') as lab:
        c, a = talk(lab)
        b = transfer(lab, c, a, lab.phone())
        end(c, b)
        lab.ledger(c)
        wait("they have arrived", lambda: len(crm.facts) == 3)
        assert sorted(f["type"] for f in crm.facts) == \
            ["case_owner", "case_owner", "transfer_closed"], crm.facts


@tap.case("an answer of 500 is tried again; the outbox keeps the facts; nothing is lost or doubled")
def refused(_):
    with Crm() as crm, lab_for(crm) as lab:
        crm.status = 500
        c, a = talk(lab)
        end(c, a)
        led = lab.ledger(c)
        wait("it was tried twice", lambda: crm.posts >= 2)
        assert crm.facts == [] and lab.daemon.log("webhook_failed webhook=crm status=500")
        metrics = lab.token("m", "metrics").get("//metrics").body.decode()
        assert 'segue_webhook_failures_total{webhook="crm"}' in metrics, metrics
        crm.status = 200
        check(crm, led)
        lab.daemon.wait_log("webhook_works_again webhook=crm")


@tap.case("nobody listens at the other side, and segued is killed meanwhile: all arrives when it is back, in order")
def down(_):
    crm = Crm()
    port = crm.server.server_address[1]
    with lab_for(crm) as lab:
        crm.server.shutdown()
        crm.server.server_close()  # connections are refused
        leds = []
        for kill in (True, False):
            c, a = talk(lab)
            end(c, a)
            leds.append(lab.ledger(c))
            lab.daemon.wait_log("webhook_failed webhook=crm")
            if kill:
                lab.daemon.kill()
                lab.restart()
        back = Crm(port)
        with back:
            for led in leds:
                check(back, led)
            opened = [f["data"]["conv"] for f in back.facts if f["type"] == "conversation_opened"]
            assert opened == [led.conversation["id"] for led in leds], opened


@tap.case("the other side is gone for good: it loses the oldest, PostgreSQL loses nothing, and what comes later arrives")
def gone_for_good(_):
    with Crm() as crm:
        crm.status = 500
        with lab_for(crm, 'facts = [ "note", "timeline", "conversation_closed" ];', SmallLab) as lab:
            c, a = talk(lab)
            admin = lab.login("boss")
            url = f"/api/v1/calls/{admin.call_of(c)['id']}/note"
            body = json.dumps({"text": "x" * 2000})
            head = admin.headers({"Content-Type": "application/json"})
            conn, notes, deadline = lab.connection(60), 0, time.monotonic() + 120
            while "segue_webhook_facts_lost_total{webhook=\"crm\"} 0\n" in admin.get("//metrics").body.decode():
                assert time.monotonic() < deadline, "nothing was given up"
                for _ in range(100):
                    conn.request("POST", url, body, head)
                    got = conn.getresponse()
                    assert got.status == 200, got.read()
                    got.read()
                    notes += 1
            conn.close()
            lab.daemon.wait_log("webhook_facts_lost webhook=crm count=")
            wait("PostgreSQL has them all", lambda: lab.sql("select count(*) from segue.notes")[0][0] == str(
                notes), 60)
            end(c, a)
            lab.ledger(c)
            crm.status = 204
            wait("the end has arrived", lambda: "conversation_closed" in [f["type"] for f in crm.facts], 60)


@tap.case("kill -9 while the other side is away: it goes on where it was")
def killed(_):
    with Crm() as crm, lab_for(crm) as lab:
        c, a = talk(lab)
        end(c, a)
        first = lab.ledger(c)
        wait("the first has arrived", lambda: [
            f for f in crm.of(first.conversation["id"]) if f["type"] == "conversation_closed"])
        crm.status = 503
        c, a = talk(lab)
        end(c, a)
        second = lab.ledger(c)
        lab.daemon.kill()
        crm.status = 200
        lab.restart()
        wait("the second has arrived", lambda: [
            f for f in crm.of(second.conversation["id"]) if f["type"] == "conversation_closed"])
        seen = {}
        for f in crm.facts:
            assert seen.setdefault(f["id"], f) == f, f
        assert list(dict.fromkeys(f["id"] for f in crm.facts)) == sorted(seen), crm.facts
        assert crm.of(second.conversation["id"])[0]["type"] == "conversation_opened"


if __name__ == "__main__":
    tap.main(lambda: WebLab(users=3, peers=1), jobs=4)
