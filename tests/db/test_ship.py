"""Facts to rows: the worked examples, cases, exactly once whatever breaks, refused facts."""
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dbtest  # noqa: E402
from dbtest import Call, Outbox, pg, plain_call, tap, wait_for  # noqa: E402

FACTS_PER_CALL = 28  # of ledgertool's made-up calls


def shipped(lab, *calls, lines=()):
    """The calls' facts, and more lines, in a database of their own."""
    db, box = lab.database(), Outbox()
    last = box.append([line for c in calls for line in c.lines] + list(lines))
    out = box.ship(db)
    assert out["shipped"] == last and out["rejected"] == 0, f"{out}\n{box.log}"
    return db


# ---- the worked examples --------------------------------------------------------------------

@tap.case("example 1: me 60 s, Saul 120 s, back to me 30 s, by blind transfers")
def example_1(lab):
    c = Call()
    me = c.offer("me")
    me.answer()
    c.wait(60)
    x1 = c.transfer("me", "saul", me)
    me.close("transferred", by="self", xfer=x1)
    saul = c.offer("saul", xfer=x1, prev=me)
    x1.mark("ringing", saul)
    c.wait(8)
    saul.answer()
    x1.mark("answered", saul)
    x1.mark("joined", saul)
    x1.close("completed", saul, sip_status=200)
    c.wait(120)
    x2 = c.transfer("saul", "me", saul)
    saul.close("transferred", by="self", xfer=x2)
    again = c.offer("me", xfer=x2, prev=saul)
    c.wait(5)
    again.answer()
    x2.mark("joined", again)
    x2.close("completed", again)
    c.wait(30)
    again.close("released")
    c.end(talk=210, limbo=13, n_requested=2, n_blind=2)

    db = shipped(lab, c)
    db.must_add_up()
    assert db.rows("select outcome, transferred, total_ms, talk_ms, limbo_ms, n_blind, n_requested, "
                   "agents, case_owner, ended_by from segue.call_log") == [
        ("answered", "t", "223000", "210000", "13000", "2", "2", "{me,saul,me}", "me", "customer")]
    thread = json.loads(db.value("select thread from segue.call_log"))
    assert [(s["who"], s["ring_ms"], s["talk_ms"], s["by_transfer"], s["asked_by"])
            for s in thread] == [("me", 0, 60000, None, None), ("saul", 8000, 120000, "blind", "me"),
                                 ("me", 5000, 30000, "blind", "saul")]
    assert db.rows("select extract(epoch from target_ringing_at - asked_at), "
                   "extract(epoch from joined_at - asked_at), outcome, asked_via, to_segment_id = "
                   "(select id from segue.segments where seq = 1) from segue.transfers "
                   "where asker = 'me'") == [
        ("0.000000", "8.000000", "completed", "sip_refer", "t")]
    assert db.rows("select user_name, offers, answers, talk_ms, ring_ms, transfers_in, transfers_out "
                   "from segue.agent_day order by 1") == [
        ("me", "2", "2", "90000", "5000", "1", "1"), ("saul", "1", "1", "120000", "8000", "1", "1")]
    assert [r[0] for r in db.rows("select type from segue.case_timeline where headline")] == [
        "conversation_started", "transfer_requested", "transfer_completed", "transfer_requested",
        "transfer_completed", "conversation_ended"]


@tap.case("example 6: an agent calls an outside number")
def example_6(lab):
    c = Call(number="+4930777", kind="outbound")
    a = c.offer("alice")
    c.wait(10)
    a.answer()
    c.wait(40)
    a.become("holding")
    c.wait(15)
    a.become("held")
    c.wait(5)
    a.become("talking")
    c.wait(20)
    a.close("released", by="self")
    c.end(by="agent", ring=10, talk=60, hold=15, held=5)

    db = shipped(lab, c)
    db.must_add_up()
    assert db.rows("select kind, customer_number, total_ms, ring_ms, talk_ms, hold_ms, held_ms, "
                   "transferred from segue.call_log") == [
        ("outbound", "+4930777", "90000", "10000", "60000", "15000", "5000", "f")]
    assert db.rows("select array_agg(state || duration_ms order by seq) from segue.intervals") == [
        ("{ringing10000,talking40000,holding15000,held5000,talking20000}",)]
    assert db.rows("select handle_ms, hold_ms from segue.agent_day") == [("75000", "15000")]


@tap.case("example 8: the caller leaves while the target rings")
def example_8(lab):
    c = Call()
    a = c.offer("alice")
    c.wait(2)
    a.answer()
    c.wait(30)
    x = c.transfer("alice", "bob", a)
    a.close("transferred", by="self", xfer=x)
    b = c.offer("bob", xfer=x, prev=a)
    x.mark("ringing", b)
    c.wait(6)
    b.close("cancelled_caller_left", sip_cause=487)
    x.close("abandoned", b, sip_status=487)
    c.timeline("customer_left", "customer")
    c.end(ring=2, talk=30, limbo=6, n_requested=1)

    db = shipped(lab, c)
    db.must_add_up()
    assert db.rows("select outcome, sip_status, ended_at is not null, joined_at is null "
                   "from segue.transfers") == [("abandoned", "487", "t", "t")]
    assert db.rows("select outcome, talk_ms, ring_ms, answered_at from segue.segments "
                   "where who = 'bob'") == [("cancelled_caller_left", "0", "6000", None)]
    assert db.rows("select transferred, n_blind, n_requested, agents from segue.call_log") == [
        ("f", "0", "1", "{alice}")]


@tap.case("example 10: what a crash cut short ends at the last known event, and says so")
def example_10(lab):
    c = Call()
    a = c.offer("alice")
    c.wait(4)
    a.answer()
    c.wait(11)
    a.close("internal", by="system", estimated=1)
    c.end(outcome="failed", by="system", ring=4, talk=11, estimated=1)

    db = shipped(lab, c)
    db.must_add_up()
    assert db.rows("select estimated, outcome, total_ms from segue.call_log") == [
        ("t", "failed", "15000")]
    assert db.rows("select estimated, outcome, talk_ms from segue.segments") == [
        ("t", "internal", "11000")]


@tap.case("E-124: a new run closes what the one before left open, at the last that is known")
def crash(lab):
    ringing = Call(number="+491")
    ringing.offer("alice")
    ringing.wait(3)
    ringing.timeline("offered", "alice")

    holding = Call(number="+492")
    a = holding.offer("bob")
    holding.wait(2)
    a.answer()
    holding.wait(10)
    a.become("holding")
    holding.timeline("hold_on", "bob", a)
    holding.wait(4)
    holding.timeline("note", "bob")

    moving = Call(number="+493")  # carol has gone, dave rings
    b = moving.offer("carol")
    moving.wait(1)
    b.answer()
    moving.wait(20)
    x = moving.transfer("carol", "dave", b)
    b.close("transferred", xfer=x)
    moving.wait(1)
    d = moving.offer("dave", xfer=x, prev=b)
    moving.wait(5)
    x.mark("ringing", d)

    empty = Call(number="+494")
    done = plain_call(number="+495")

    talking = Call(number="+497")  # the answer is the last that is known of it
    e = talking.offer("frank")
    talking.wait(2)
    e.answer()
    crossed = Call(number="+498")  # the answer of somebody who had been given up
    f = crossed.offer("grace")
    crossed.wait(2)
    f.close("no_answer")
    crossed.fact("segment_answered", seg=f.id)
    cut_off = [ringing, holding, moving, empty, done, talking, crossed]
    started = f"{dbtest.T0 + 900_000_000} started node=1 version=1.0"
    live = Call(number="+496", at=dbtest.T0 + 901_000_000)
    live.offer("erin")
    for together in (True, False):
        db, box = lab.database(), Outbox()
        lines = [line for c in cut_off for line in c.lines]
        for part in [lines + [started] + live.lines] if together else [lines, [started], live.lines]:
            box.append(part)
            box.ship(db)
        db.must_add_up()
        got = {r[0]: r[1:] for r in db.rows(
            "select customer_number, outcome, estimated, ended_by, total_ms, ring_ms, talk_ms, "
            "hold_ms, limbo_ms from segue.conversations")}
        assert got == {
            "+491": ("failed", "t", "system", "3000", "3000", "0", "0", "0"),
            "+492": ("answered", "t", "system", "16000", "2000", "10000", "4000", "0"),
            "+493": ("answered", "t", "system", "27000", "1000", "20000", "0", "6000"),
            "+494": ("failed", "t", "system", "0", "0", "0", "0", "0"),
            "+495": ("answered", "f", "customer", "23000", "3000", "20000", "0", "0"),
            "+496": (None, "f", None, None, None, None, None, None),
            "+497": ("answered", "t", "system", "2000", "2000", "0", "0", "0"),
            "+498": ("failed", "t", "system", "2000", "2000", "0", "0", "0")}, got
        assert db.rows("select who, outcome, estimated, ring_ms, talk_ms, hold_ms from segue.segments "
                       "where outcome <> 'released' order by 1") == [
            ("alice", "internal", "t", "3000", "0", "0"),
            ("bob", "internal", "t", "2000", "10000", "4000"),
            ("carol", "transferred", "f", "1000", "20000", "0"),
            ("dave", "internal", "t", "5000", "0", "0"),
            ("frank", "internal", "t", "2000", "0", "0"),
            ("grace", "no_answer", "f", "2000", "0", "0")]
        assert db.rows("select outcome, cause from segue.transfers") == [("failed", "internal")]


@tap.case("a queue: offered, answered in time, abandoned")
def queue(lab):
    calls = []
    for wait, outcome, by in ((10, "answered", "system"), (30, "answered", "system"),
                              (50, "abandoned", "customer"), (30, "timeout", "system")):
        c = Call(number=f"+4930{wait}", at=dbtest.T0 // 3_600_000_000 * 3_600_000_000)
        q = c.offer("support", kind="queue", state="queued")
        a = c.offer(f"agent{wait}") if outcome == "answered" else None
        c.wait(wait)
        if a:
            a.answer()
        q.close(outcome, by=by)
        if a:
            a.close("released")
        c.end(outcome=outcome if by == "customer" or outcome == "answered" else "failed", wait=wait)
        calls.append(c)
    db = shipped(lab, *calls)
    db.must_add_up()
    what = ("offered, answered, abandoned, overflowed, answered_in_time, service_level, avg_wait_ms, "
            "speed_of_answer_ms, abandoned_after_ms, longest_wait_ms, service_goal from segue.queue_hour")
    assert db.rows(f"select queue, {what}") == [
        ("support", "4", "2", "1", "1", "1", "25.0", "30000", "20000", "50000", "50000", None)]
    db.rows("insert into segue.queues (name, service_ms, service_goal) values ('support', 30000, 90)")
    assert db.rows(f"select {what}")[0][4:6] == ("2", "50.0"), "the queue's own goal"


@tap.case("example 7: transferred to a queue, two decline, the third answers after 41 s; then wrap-up")
def example_7(lab):
    c = Call(at=dbtest.T0 // 3_600_000_000 * 3_600_000_000)
    a = c.offer("alice")
    c.wait(3)
    a.answer()
    c.wait(60)
    x = c.transfer("alice", "support", a)
    a.close("transferred", by="self", xfer=x)
    q = c.offer("support", kind="queue", state="queued", xfer=x, prev=a)
    x.mark("joined", q)
    x.close("completed", q)
    offers = []
    for who, ring, outcome in (("bob", 10, "declined"), ("carol", 20, "no_answer"), ("dave", 6, "")):
        c.wait(0 if who == "bob" else 2.5)
        offers.append(c.offer(who))
        c.wait(ring)
        if outcome:
            offers[-1].close(outcome, by="self")
    offers[2].answer()
    q.close("answered", by="system")
    x.mark("answered_by", offers[2])
    c.wait(100)
    offers[2].close("released", by="self")
    c.end(ring=3, talk=160, wait=41, n_blind=1, n_requested=1)
    begin = c.at - 100_000_000  # dave's answer
    states = dbtest.agent_states("dave", begin, (-500, "logged_out"), (-400, "free"),
                                 (-6, "ringing", {"conv": c.conv}), (0, "talking", {"conv": c.conv}),
                                 (100, "wrapup", {"conv": c.conv, "queue": "support"}),
                                 (112.5, "free", {"conv": c.conv, "queue": "support"}))

    db = shipped(lab, c, lines=states)
    db.must_add_up()
    assert db.rows("select t.outcome, target, answered_by, s.who, extract(epoch from queue_answered_at - "
                   "asked_at), q.kind from segue.transfers t join segue.segments s on s.id = "
                   "t.answered_segment_id join segue.segments q on q.id = t.to_segment_id") == [
        ("completed", "support", "dave", "dave", "41.000000", "queue")]
    assert db.rows("select kind, who, outcome, ring_ms, wait_ms, acw_ms from segue.segments "
                   "order by seq") == [
        ("agent", "alice", "transferred", "3000", "0", "0"),
        ("queue", "support", "answered", "0", "41000", "0"),
        ("agent", "bob", "declined", "10000", "0", "0"),
        ("agent", "carol", "no_answer", "20000", "0", "0"),
        ("agent", "dave", "released", "6000", "0", "12500")]
    assert db.rows("select user_name, queue_offers, queue_answers, queue_missed, talk_ms, acw_ms, "
                   "handle_ms, logged_in_ms, free_ms from segue.agent_day order by 1") == [
        ("alice", "0", "0", "0", "60000", "0", "60000", "0", "0"),
        ("bob", "1", "0", "1", "0", "0", "0", "0", "0"),
        ("carol", "1", "0", "1", "0", "0", "0", "0", "0"),
        ("dave", "1", "1", "0", "100000", "12500", "112500", "512500", "394000")]
    assert db.rows("select answered, answered_in_time, service_level, speed_of_answer_ms from "
                   "segue.queue_hour") == [("1", "0", "0.0", "41000")]
    # what check_ledger() would say if the rows were others
    for damage, rule in [
            ("update segue.segments set wait_ms = 1 where kind = 'queue'",
             "waiting is the sum of its intervals"),
            ("update segue.segments set answered_at = null where who = 'dave'",
             "an answered caller of a queue has an agent"),
            ("update segue.transfers set answered_by = 'bob'",
             "who answered a transfer to a queue was offered it there")]:
        got = db.rows(f"begin; {damage}; select rule from segue.check_ledger(); rollback")
        assert (rule,) in got, f"{damage}: {got}"


TEN_MINUTES = 600_000_000


def hour_of_work(at):
    """Six calls of an hour and the next, and what one of the agents was meanwhile."""
    a = Call(number="+4931", at=at)  # waits 10 s, of which bob rings 4
    q = a.offer("support", kind="queue", state="queued")
    a.wait(6)
    bob = a.offer("bob")
    a.wait(4)
    q.close("answered", by="system")
    bob.answer()
    for seconds, then in ((40, "holding"), (15, "talking"), (20, "held"), (5, None)):
        a.wait(seconds)
        bob.become(then) if then else bob.close("completed")
    a.end(talk=60, hold=15, held=5, wait=10)

    b = Call(number="+4932", at=at + 1 * TEN_MINUTES)  # alice declines after 10 s, bob answers after 20 more
    q = b.offer("support", kind="queue", state="queued")
    alice = b.offer("alice")
    b.wait(10)
    alice.close("declined", by="self")
    bob = b.offer("bob")
    b.wait(20)
    q.close("answered", by="system")
    bob.answer()
    b.wait(50)
    x = b.transfer("bob", "carol", bob)
    bob.close("transferred", by="self", xfer=x)
    carol = b.offer("carol", xfer=x, prev=bob)
    b.wait(6)
    carol.answer()
    x.mark("joined", carol)
    x.close("completed", carol)
    b.wait(30)
    carol.close("completed")
    b.end(talk=80, limbo=6, wait=30, n_requested=1, n_blind=1)

    c = Call(number="+4933", at=at + 2 * TEN_MINUTES)  # gives up after 50 s, while bob rings
    q = c.offer("support", kind="queue", state="queued")
    bob = c.offer("bob")
    c.wait(50)
    bob.close("cancelled_caller_left", by="system")
    q.close("abandoned")
    c.end(outcome="abandoned", wait=50)

    d = Call(number="+4934", at=at + 3 * TEN_MINUTES)  # sent on after 70 s
    q = d.offer("support", kind="queue", state="queued")
    d.wait(70)
    q.close("timeout", by="system")
    d.end(outcome="failed", by="system", wait=70)

    e = Call(number="+4935", at=at + 6 * TEN_MINUTES)  # waits still
    e.offer("support", kind="queue", state="queued")

    f = Call(number="+4936", at=at + 4 * TEN_MINUTES)  # to alice, who asks bob: he rings 2 s, they talk 25
    alice = f.offer("alice")
    f.wait(3)
    alice.answer()
    f.wait(20)
    alice.become("holding")
    bob = f.offer("bob", kind="consult")
    f.wait(2)
    alice.become("consulting")
    bob.become("consulting")
    f.fact("segment_answered", seg=bob.id)
    f.wait(25)
    bob.close("completed", by="system")
    alice.become("talking")
    f.wait(10)
    alice.close("completed")
    f.end(ring=3, talk=30, hold=27)
    g = Call(number="+4937", at=at + 5 * TEN_MINUTES)  # finds it closed
    g.offer("support", kind="queue", state="queued").close("closed", by="system")
    g.end(outcome="failed", by="system")
    return (a, b, c, d, e, f, g), dbtest.agent_states(
        "bob", at, (-600, "logged_out"), (-60, "free"), (6, "ringing"), (10, "talking"), (90, "wrapup"),
        (102.5, "free"), (200, "away"), (300, "free"), (310, "logged_out"))


@tap.case("agent_day and queue_hour: every column against what was worked out by hand")
def every_column(lab):
    at = dbtest.T0 // 3_600_000_000 * 3_600_000_000
    calls, states = hour_of_work(at)
    db = shipped(lab, *calls, lines=states)
    db.must_add_up()
    db.rows("insert into segue.queues (name, service_goal) values ('support', 80)")

    def table(view, key):
        found = db.rows(f"set timezone = 'UTC'; select {key}, to_jsonb(v) from segue.{view} v")
        return {k: {c: v for c, v in json.loads(row).items() if c not in ("day", "user_name", "queue")}
                for k, row in found}
    assert table("agent_day", "user_name") == {
        "alice": {
            "offers": 2,           # b, where she declined, and f
            "answers": 1,          # f
            "talk_ms": 30000,      # f: 20 s before the consultation, 10 s after it
            "hold_ms": 2000,       # f: while bob rang
            "held_ms": 0, "consult_ms": 25000,
            "ring_ms": 13000,      # b 10 s, f 3 s
            "acw_ms": 0,
            "handle_ms": 57000,    # 30 + 2 + 25 + 0
            "transfers_in": 0, "transfers_out": 0,
            "queue_offers": 1, "queue_answers": 0, "queue_missed": 1,  # b; f came to her number
            "logged_in_ms": 0, "free_ms": 0, "away_ms": 0},            # no row says what she was
        "bob": {
            "offers": 4,           # a, b, c and the consultation in f
            "answers": 3,          # not c
            "talk_ms": 110000,     # a 40 + 20 s, b 50 s
            "hold_ms": 15000, "held_ms": 5000,  # a
            "consult_ms": 25000,   # f
            "ring_ms": 76000,      # a 4 s, b 20 s, c 50 s, f 2 s
            "acw_ms": 12500,       # from 90 s to 102.5 s
            "handle_ms": 162500,   # 110 + 15 + 25 + 12.5
            "transfers_in": 0, "transfers_out": 1,                     # b to carol
            "queue_offers": 3, "queue_answers": 2, "queue_missed": 0,  # c was withdrawn, not missed
            "logged_in_ms": 370000,             # from -60 s to 310 s
            "free_ms": 173500,     # -60 to 6, 102.5 to 200, 300 to 310
            "away_ms": 100000},    # 200 to 300
        "carol": {
            "offers": 1, "answers": 1, "talk_ms": 30000, "hold_ms": 0, "held_ms": 0, "consult_ms": 0,
            "ring_ms": 6000, "acw_ms": 0, "handle_ms": 30000, "transfers_in": 1, "transfers_out": 0,
            "queue_offers": 0,     # b had left the queue: it was transferred to her
            "queue_answers": 0, "queue_missed": 0, "logged_in_ms": 0, "free_ms": 0, "away_ms": 0}}
    hours = table("queue_hour", f"(extract(epoch from hour)::bigint - {at // 1_000_000}) / 3600")
    for h in hours.values():
        del h["hour"]
    assert hours == {
        "0": {
            "offered": 4, "answered": 2, "abandoned": 1, "overflowed": 1, "waiting": 0,  # ab, c, d
            "answered_in_time": 1,        # a after 10 s; b took 30, the goal is 20
            "service_level": 25.0,        # 1 of 4
            "avg_wait_ms": 40000,         # (10 + 30 + 50 + 70) / 4
            "speed_of_answer_ms": 20000,  # (10 + 30) / 2
            "abandoned_after_ms": 50000, "longest_wait_ms": 70000, "service_goal": 80,
            "closed": 1},                 # g
        "1": {
            "offered": 1, "answered": 0, "abandoned": 0, "overflowed": 0, "waiting": 1,
            "answered_in_time": 0, "service_level": None, "avg_wait_ms": 0,
            "speed_of_answer_ms": None, "abandoned_after_ms": None,
            "longest_wait_ms": hours["1"]["longest_wait_ms"], "service_goal": 80, "closed": 0}}
    assert not hours["1"]["longest_wait_ms"], "it has not ended"


@tap.case("check_ledger() notices an agent who was offered two callers at once")
def twice_offered(lab):
    calls = []
    for second in (0, 5):
        c = Call(number=f"+4930{second}", at=dbtest.T0 + second * 1_000_000)
        q = c.offer("support", kind="queue", state="queued")
        a = c.offer("alice")
        c.wait(10)
        a.close("no_answer", by="system")
        c.wait(1)
        q.close("abandoned")
        c.end(outcome="abandoned", wait=11)
        calls.append(c)
    db = shipped(lab, *calls)
    assert [v[0] for v in db.violations()] == ["an agent is offered one caller at a time"]
    db.rows("delete from segue.intervals i using segue.segments s where s.id = i.segment_id and "
            "s.kind = 'agent' and s.offered_at > to_timestamp(%d);"
            "delete from segue.segments where kind = 'agent' and offered_at > to_timestamp(%d)" %
            ((dbtest.T0 // 1_000_000 + 2,) * 2))
    db.must_add_up()


@tap.case("what an agent is, is cut at midnight: each day has its own")
def midnight(lab):
    day = 86_400_000_000
    noon = dbtest.T0 // day * day + day // 2
    db = shipped(lab, lines=dbtest.agent_states(
        "bob", noon, (-3600, "logged_out"), (0, "free"), (60, "away"), (3 * 86400, "logged_out")))
    assert db.rows("set timezone = 'UTC'; select day - min(day) over (), logged_in_ms, free_ms, "
                   "away_ms from segue.agent_day order by 1") == [
        ("0", "43200000", "60000", "43140000"), ("1", "86400000", "0", "86400000"),
        ("2", "86400000", "0", "86400000"), ("3", "43200000", "0", "43200000")]


@tap.case("what agents chose: the newest row stands, a hand's newer one is left, twice changes nothing")
def choices(lab):
    db, outbox = lab.database(), dbtest.Outbox()
    db.rows("insert into segue.users (name) values ('alice'), ('bob')")

    def ship(*changes):
        outbox.append([x for user, at, intent, reason in changes for x in dbtest.agent_states(
            user, dbtest.T0, (at - 1, "free"), (at, "away"), intent=intent, reason=reason,
            via="ctl", asker="carol")])
        outbox.ship(db)
        return db.rows("select user_name, intent, reason, (extract(epoch from since) * 1000000)::"
                       "bigint - %d, via, set_by, fact_id is null from segue.agent_states "
                       "order by 1" % dbtest.T0)

    assert ship(("alice", 10, "away", "lunch"), ("bob", 11, "logged_out", None),
                ("alice", 20, "available", None), ("nobody", 21, "available", None)) == [
        ("alice", "available", None, "20000000", "ctl", "carol", "f"),
        ("bob", "logged_out", None, "11000000", "ctl", "carol", "f")]
    assert ship(("alice", 30, "available", None))[0][3] == "20000000", "since is of the choice"
    db.rows("update segue.agent_states set intent = 'away', reason = 'shift', since = to_timestamp(%d) "
            "where user_name = 'bob'" % (dbtest.T0 // 1_000_000 + 50))
    bob = ("bob", "away", "shift")
    after = ship(("bob", 40, "available", None))[1]
    assert after[:3] == bob and after[6] == "t", f"older than what was written by hand: {after}"
    assert db.value("select count(*) from segue.agent_log where user_name = 'alice'") == "3"


@tap.case("check_ledger() notices each kind of row that does not add up")
def violations(lab):
    c = Call()
    a = c.offer("alice")
    c.wait(3)
    a.answer()
    c.wait(20)
    x = c.transfer("alice", "bob", a)
    a.close("transferred", xfer=x)
    b = c.offer("bob", xfer=x, prev=a)
    c.wait(2)
    b.answer()
    x.mark("joined", b)
    x.close("completed", b)
    c.wait(7)
    b.close("released")
    c.end(ring=3, talk=27, limbo=2, n_blind=1)
    db = shipped(lab, c)
    db.must_add_up()
    for damage, rule in [
            ("delete from segue.timeline where seq = 2", "the timeline has no gap"),
            ("delete from segue.timeline where seq = (select max(seq) from segue.timeline)",
             "a conversation starts and ends on the timeline"),
            ("update segue.intervals set seq = 7 where seq = 1", "intervals are contiguous"),
            ("update segue.intervals set duration_ms = duration_ms + 1 where seq = 1",
             "an interval is as long as its times say"),
            ("delete from segue.intervals where seq = 1", "intervals fill the segment"),
            ("update segue.segments set talk_ms = talk_ms + 1",
             "segment durations are sums of intervals"),
            ("update segue.segments set answered_at = ended_at + interval '1 s'",
             "times of a segment are in order"),
            ("update segue.segments set answered_at = null", "who talked had answered"),
            ("update segue.segments set ended_at = null, closed_fact_id = null where seq = 1",
             "no segment outlives its conversation"),
            ("update segue.segments set ended_at = null, closed_fact_id = null, who = 'bob'",
             "a user has one open agent segment"),
            ("update segue.conversations set limbo_ms = limbo_ms + 2", "the parts make the whole"),
            ("update segue.conversations set total_ms = total_ms + 1, limbo_ms = limbo_ms + 1",
             "total is start to end"),
            ("update segue.conversations set agent_talk_ms = agent_talk_ms + 1",
             "agent_talk_ms is the sum over segments"),
            ("update segue.conversations set agent_talk_ms = 0", "talk_ms is at most agent_talk_ms"),
            ("update segue.conversations set n_blind = 2", "transfers are counted right"),
            ("update segue.transfers set outcome = null, ended_at = null, closed_fact_id = null",
             "every transfer has an outcome"),
            ("update segue.transfers set to_segment_id = id",
             "transfers name segments of their conversation"),
            ("update segue.transfers set joined_at = null", "a completed transfer was joined"),
            ("insert into segue.rejected_facts select id, 1, now(), '', '', 'x' from segue.outboxes",
             "no fact was refused")]:
        got = db.rows(f"begin; {damage}; select rule from segue.check_ledger(); rollback")
        assert (rule,) in got, f"{damage}: {got}"
    db.must_add_up()


# ---- cases ----------------------------------------------------------------------------------

@tap.case("a call joins the open case of its number, or opens one; closed cases are left alone")
def cases(lab):
    db, box = lab.database(), Outbox()
    first, second = plain_call(), plain_call(at=dbtest.T0 + 60_000_000)
    other = plain_call(number="+49999")
    box.append(first.lines + second.lines + other.lines)  # one batch
    box.ship(db)
    assert db.rows("select case_id, count(*) from segue.conversations "
                   "where customer_number = '+493012345' group by 1") == [(first.conv, "2")]
    assert db.value("select count(*) from segue.cases") == "2"
    box.append(plain_call(at=dbtest.T0 + 90_000_000).lines)  # another batch
    box.ship(db)
    assert db.value("select count(*) from segue.cases") == "2"
    db.rows("update segue.cases set closed_at = now()")
    fresh = plain_call(at=dbtest.T0 + 120_000_000)
    box.append(fresh.lines)
    box.ship(db)
    assert db.value(f"select case_id from segue.conversations where id = '{fresh.conv}'") == \
        fresh.conv
    assert db.value("select count(*) from segue.cases") == "3"


@tap.case("X-Case-ID wins over the number; later calls of the number join that case")
def case_key(lab):
    early = plain_call(number="+491")
    named = plain_call(number="+491", at=dbtest.T0 + 60_000_000, case_key="CRM-17")
    later = plain_call(number="+491", at=dbtest.T0 + 120_000_000)
    elsewhere = plain_call(number="+492", at=dbtest.T0 + 180_000_000, case_key="CRM-17")
    for together in (True, False):  # in one batch, and each in its own
        db, box = lab.database(), Outbox()
        calls = [early, named, later, elsewhere]
        for part in [calls] if together else [[c] for c in calls]:
            box.append([line for c in part for line in c.lines])
            box.ship(db)
        got = dict(db.rows("select v.id, coalesce(k.case_key, k.id::text) from segue.conversations v "
                           "join segue.cases k on k.id = v.case_id"))
        assert got == {early.conv: early.conv, named.conv: "CRM-17", later.conv: "CRM-17",
                       elsewhere.conv: "CRM-17"}, got
        assert db.rows("select origin, case_key from segue.cases order by 1") == [
            ("external", "CRM-17"), ("segue", None)]


@tap.case("withheld numbers get a case each, internal calls none")
def case_none(lab):
    db = shipped(lab, plain_call(number=""), plain_call(number=""), plain_call(kind="internal"))
    assert db.value("select count(*) from segue.cases") == "2"
    assert db.rows("select kind, case_id is null, count(*) from segue.conversations group by 1, 2 "
                   "order by 1") == [("inbound", "f", "2"), ("internal", "t", "1")]


@tap.case("the owner of a case is who answered last, not who was asked for")
def owner(lab):
    c = Call()
    a = c.offer("alice")
    c.wait(1)
    a.answer()
    c.wait(5)
    x = c.transfer("alice", "bob", a)
    b = c.offer("bob", xfer=x, prev=a)
    db, box = lab.database(), Outbox()
    box.append(c.lines)
    box.ship(db)
    assert db.value("select owner from segue.cases") == "alice"
    done = len(c.lines)
    c.wait(4)
    b.answer()
    box.append(c.lines[done:])
    box.ship(db)
    assert db.value("select owner from segue.cases") == "bob"
    assert db.value("select case_owner from segue.call_log") == "bob"


@tap.case("two segueds open one case for the same number at the same time")
def two_nodes(lab):
    db = lab.database()
    boxes = [Outbox(), Outbox()]
    for i, box in enumerate(boxes):
        box.append([line for n in range(200)
                    for line in plain_call(number=f"+49{n}", at=dbtest.T0 + i).lines])
    errors = []

    def ship(box):
        try:
            box.ship(db)
        except AssertionError as e:
            errors.append(e)

    threads = [threading.Thread(target=ship, args=(box,)) for box in boxes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    assert db.value("select count(*) from segue.conversations where case_id is not null") == "400"
    assert db.value("select count(*) from segue.cases") == "200"
    assert db.value("select count(*) from segue.outboxes") == "2"


# ---- exactly once ---------------------------------------------------------------------------

LEDGER = """(select fact_id from segue.conversations
    union all select closed_fact_id from segue.conversations
    union all select fact_id from segue.segments union all select answered_fact_id from segue.segments
    union all select closed_fact_id from segue.segments union all select fact_id from segue.intervals
    union all select fact_id from segue.transfers union all select closed_fact_id from segue.transfers
    union all select fact_id from segue.timeline)"""


def must_be_complete(db, calls):
    """Every fact of so many of ledgertool's calls is in the tables, once."""
    assert db.value("select shipped from segue.outboxes") == str(calls * FACTS_PER_CALL)
    assert db.value(f"select count(*) - count(distinct fact_id) from {LEDGER} x "
                    "where fact_id is not null") == "0"
    # of a call's 28 facts 22 leave their number: not its 4 marks and 2 case owners
    assert db.rows(f"select n, count(*) from (select (fact_id - 1) / {FACTS_PER_CALL}, count(*) as n "
                   f"from {LEDGER} x where fact_id is not null group by 1) y group by 1") == [
        ("22", str(calls))]
    assert db.value("select count(*) from segue.transfers where accepted_at is not null and "
                    "target_ringing_at is not null and target_answered_at is not null and "
                    "joined_at is not null and outcome = 'completed'") == str(calls)
    assert db.value("select count(*) from segue.cases where owner <> 'bob'") == "0"
    assert db.value("select count(*) from segue.conversations where ended_at is null") == "0"
    db.must_add_up()


@tap.case("E-123: PostgreSQL stopped and started under calls loses and doubles nothing")
def outage(lab):
    with pg.Cluster() as c:
        c.createdb()
        assert dbtest.migrate(c, "segue").returncode == 0
        db, box = dbtest.Database(c, "segue"), Outbox()
        p = box.start(db, 2400, 600, 100)
        wait_for("first rows", lambda: db.value("select count(*) > 50 from segue.conversations") == "t")
        for mode in ("fast", "immediate"):
            c.stop(mode)
            time.sleep(0.4)  # calls go on meanwhile: this is no wait for an outcome
            c.start()
            before = int(db.value("select shipped from segue.outboxes"))
            wait_for("shipping goes on", lambda: int(db.value(
                "select shipped from segue.outboxes")) > before)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, out + err
        assert "database_away" in err and "database_connected" in err, err
        assert "failures=0" not in out, out
        must_be_complete(db, 2400)


@tap.case("kill -9 of the shipper's process, again and again: every fact once")
def killed(lab):
    db, box = lab.database(), Outbox()
    seen = 0
    for round in range(5):
        p = box.start(db, 100000, 200, 40)  # a second: more would wait than can be shipped below
        wait_for("rows", lambda: int(db.value("select count(*) from segue.conversations")) > seen + 40)
        dbtest.kill(p)
        seen = int(db.value("select count(*) from segue.conversations"))
    out = box.ship(db)
    # each round began a call of its own where the last one was cut, so count by conversation
    assert db.value("select shipped from segue.outboxes") == str(out["last"])
    assert db.value(f"select count(*) - count(distinct fact_id) from {LEDGER} x "
                    "where fact_id is not null") == "0"
    assert db.rows("select n, count(*) > 5 from (select conversation_id, count(*) as n from "
                   "segue.timeline join segue.conversations c on c.id = conversation_id where "
                   "c.ended_at is not null group by 1) x group by 1") == [("8", "t")]
    assert int(db.value("select count(*) from segue.conversations where ended_at is null")) <= 5
    # what the runs left open stays so: this tool does not say that it has started
    db.must_add_up(but=["a user has one open agent segment"])


@tap.case("a cursor that somebody else moves is noticed, and nothing is doubled")
def moved(lab):
    db, box = lab.database(), Outbox()
    p = box.start(db, 300, 60)
    wait_for("rows", lambda: db.value("select count(*) > 10 from segue.conversations") == "t")
    db.rows("update segue.outboxes set shipped = shipped - 5")
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, out + err
    assert "is not at fact" in err and err.count("database_connected") == 2, err
    must_be_complete(db, 300)


@tap.case("a new process waits for a session of the old one that still commits")
def stale_session(lab):
    db, box = lab.database(), Outbox()
    box.append(plain_call().lines)
    box.ship(db)
    last = box.append(plain_call(number="+4977").lines)
    stale = subprocess.Popen(["psql", "-X", "-q", "-d", db.conninfo], text=True,
                             stdin=subprocess.PIPE)
    stale.stdin.write(f"begin; update segue.outboxes set shipped = {last};\n")
    stale.stdin.flush()
    wait_for("the session that holds the cursor", lambda: db.value(
        "select count(*) from pg_stat_activity where datname = current_database() and "
        "state = 'idle in transaction'") == "1")
    out = {}
    shipping = threading.Thread(target=lambda: out.update(box.run("ship", db.conninfo, 20000)))
    shipping.start()
    wait_for("the shipper behind it", lambda: db.value(
        "select count(*) from pg_stat_activity where datname = current_database() and "
        "wait_event_type = 'Lock'") == "1")
    stale.communicate("commit;\n", timeout=20)
    shipping.join()
    assert (out["shipped"], out["facts"], out["rejected"]) == (str(last), "0", "0"), out
    assert db.value("select count(*) from segue.conversations") == "1"  # the old one's business


@tap.case("facts that come twice change nothing")
def replay(lab):
    def image(db):
        return [db.rows(f"select * from segue.{t} order by 1, 2") for t in (
            "cases", "conversations", "segments", "intervals", "transfers", "timeline", "audit")]

    db, box = lab.database(), Outbox()
    c = Call()
    a = c.offer("alice")
    c.wait(3)
    a.answer()
    x = c.transfer("alice", "bob", a)
    b = c.offer("bob", xfer=x)
    x.mark("ringing", b)
    c.wait(2)
    b.answer()
    x.mark("joined", b)
    x.close("completed", b)
    c.fact("audit", who="alice", via="sip_refer", action="transfer", result="accepted", conv=c.conv)
    box.append(c.lines)
    box.ship(db)
    db.rows("update segue.cases set closed_at = now()")  # a replay must not open another
    before = image(db)
    again = Outbox()
    again.append(c.lines)
    again.ship(db)
    after = image(db)
    assert len(before[6]) == 1 and len(after[6]) == 2  # only the audit tells outboxes apart
    assert before[:6] == after[:6], f"{before}\n{after}"


# ---- what the database does not take --------------------------------------------------------

@tap.case("one fact that is refused is put aside, all others are stored")
def poison(lab):
    db, box = lab.database(), Outbox()
    good = [plain_call(number=f"+49{n}") for n in range(60)]
    bad = Call(kind="sideways")
    lines = [line for c in good[:30] for line in c.lines] + bad.lines + \
        [line for c in good[30:] for line in c.lines]
    last = box.append(lines)
    out = box.ship(db)
    assert out["shipped"] == last and out["rejected"] == 2, out
    rows = db.rows("select fact, error, octet_length(bytes) > 20 from segue.rejected_facts order by 1")
    assert [r[0].split()[0] for r in rows] == ["conversation_opened", "timeline"], rows
    assert "conversations_kind_valid" in rows[0][1] and "kind=sideways" in rows[0][0], rows
    assert "timeline_conversation_exists" in rows[1][1], rows
    assert box.log.count("fact_rejected") == 1, box.log
    assert db.value("select count(*) from segue.conversations where outcome = 'answered'") == "60"
    assert {r[0] for r in db.violations()} == {"no fact was refused"}


@tap.case("text that is no UTF-8, quotes and braces arrive as text")
def text(lab):
    db = shipped(lab, plain_call(customer_name=b"M\xfcller \"{x}\", NULL\\ \xe2\x82\xac"))
    assert db.value("select customer_name from segue.conversations") == \
        "M?ller \"{x}\", NULL\\ \u20ac"


@tap.case("a database without the schema is waited for, not given up")
def no_schema(lab):
    db, box = lab.database(empty=True), Outbox()
    box.append(plain_call().lines)
    box.run("ship", db.conninfo, 3000)
    assert box.rc == 1
    assert "database_away" in box.log and "segue.outboxes" in box.log, box.log
    assert "seguectl db upgrade" in box.log, box.log
    assert dbtest.migrate(lab.cluster, db.name).returncode == 0
    box.ship(db)
    db.must_add_up()


@tap.case("rows appear within a second of the event")
def soon(lab):
    db, box = lab.database(), Outbox()
    p = box.start(db, 3, 1)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    late = db.rows("select max(c.started_at) < o.shipped_at, extract(epoch from o.shipped_at - "
                   "max(c.started_at)) from segue.conversations c, segue.outboxes o group by "
                   "o.shipped_at")
    assert late[0][0] == "t" and float(late[0][1]) < 1, late


tap.main(dbtest.Lab)
