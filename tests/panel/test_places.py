"""The panel's places beside the transfer itself: the widget, the tiles, the list of targets with every reason,
the log's filters, queues against their goal, the desk, the keys."""
import os
import re
import sys
from datetime import datetime, timedelta
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from browser import CTRL
from flows import end, joined, one_day, pick_up, ring, talk, wait
from panel import NAMES, PanelLab, customer, display, first, member, middle, of, open_dialog, send


def through(lab, queue, phone, headers=()):
    """A caller of that queue talks with that member."""
    c = lab.trunk(trusted=True).invite(queue, headers=headers)
    a = phone.incoming()
    a.reply(180)
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    joined(c, a)
    return c, a


def choose(p, name, option):
    """Chooses in a list that is shut, by its keys."""
    p.see("combobox", name).call("this.focus()")
    p.press("Home")
    for _ in range(len(NAMES)):
        if p.js("document.activeElement.selectedOptions[0].text") == option:
            return
        p.press("ArrowDown")
    raise AssertionError(f"{name} has no {option}")


def only(p, there, *absent):
    p.see("link", customer(there))
    for c in absent:
        p.gone("link", customer(c))


@tap.case("the log's filters: department, agent, outcome, period, a number; they are in the address")
def log_filters(lab):
    one_day(300)
    p = lab.page(place="#/log")
    p.reads("No conversations yet. The first call appears here when it has begun.")
    one, two, asked = lab.phone(), lab.phone(), lab.phone()
    member(lab, asked, "support")
    boss = lab.login("boss")
    plain, a = talk(lab, one)
    end(plain, a)
    moved, m = talk(lab, two)
    assert boss.post(f"/calls/{boss.call_of(moved)['id']}/transfer", {"number": one.number}).status == 201
    b = one.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    m.expect("BYE")
    joined(moved, b)
    end(moved, b)
    queued, q = through(lab, "4001", asked, (("X-Case-ID", "20418"),))
    end(queued, q)
    for c in (plain, moved, queued):
        lab.ledger(c)
    p.send("Page.reload")
    only(p, queued)
    only(p, moved)
    choose(p, "Outcome", "Transferred")
    only(p, moved, plain, queued)
    p.wait(lambda: "outcome=transferred" in p.js("location.hash"), "the filter is in the address")
    p.send("Page.reload")
    only(p, moved, plain, queued)
    choose(p, "Agent", display(lab, asked))
    p.reads(f"No conversation matches: {display(lab, asked)}, Transferred.")
    choose(p, "Agent", "Any agent")
    choose(p, "Outcome", "Any outcome")
    choose(p, "Department", "Support")
    only(p, queued, plain, moved)
    choose(p, "Department", "Any department")
    choose(p, "Agent", display(lab, two))
    only(p, moved, plain, queued)
    choose(p, "Agent", "Any agent")
    choose(p, "Period", "Today")
    for c in (plain, moved, queued):
        p.see("link", customer(c))
    p.click("searchbox", "Search the log")
    p.type(plain.ua.user)
    only(p, plain, moved, queued)
    p.press("a", CTRL)
    p.type("case 20418")
    only(p, queued, plain, moved)
    p.js("location.hash = '#/log?case=20418'")
    only(p, queued, plain, moved)
    p.click("button", "Case 20418")
    only(p, plain)


@tap.case("the widget on every other place: what needs somebody first; transfer, hang up; it stays shut if shut")
def widget(lab):
    p = lab.page(place="#/log")
    p.reads("No live calls")
    c, a = talk(lab)
    d, e = talk(lab)
    t = lab.phone()
    p.see("button", f"Transfer {customer(c)}", exact=True)
    order = lambda: [n.name for n in p.find_all("button", "Hang up: ")]
    p.wait(lambda: order() == [f"Hang up: {customer(x)}" for x in (c, d)], "the oldest is first")
    send(p, d, display(lab, t))
    b = t.incoming()
    b.reply(180)
    p.wait(lambda: re.search(rf"{first(lab, t)}, \d+ s\b", p.says()), "who rings, and for how long yet")
    p.wait(lambda: order() == [f"Hang up: {customer(x)}" for x in (d, c)], "who is being moved is first")
    p.see("link", "All 2 live calls")
    p.click("button", f"Cancel: {customer(d)}")
    b.expect("CANCEL")
    joined(d, e)
    p.click("button", f"Hang up: {customer(d)}")
    p.press("Escape")
    p.wait(lambda: p.focus() == f"Hang up: {customer(d)}", "the focus is where it was")
    bar = lambda: next(n for n in p.find_all("button", "Live calls") if "expanded" in n.properties)
    p.mouse(*middle(bar()))
    p.gone("button", "Hang up: ")
    p.send("Page.reload")
    p.wait(lambda: p.find("button", "Live calls"), "it is there")
    p.reads("longest 0:")
    assert not p.find("button", "Hang up: "), "it was shut"
    p.mouse(*middle(bar()))
    p.click("link", "All 2 live calls")
    p.see("row", customer(c))
    end(c, a)
    end(d, e)


@tap.case("tiles count and filter, in the address; nothing that matches says so")
def tiles(lab):
    p = lab.page()
    p.reads("No calls right now. The next call appears here within a second.")
    c, a = talk(lab)
    d, e = talk(lab)
    boss = lab.login("boss")
    assert boss.post(f"/calls/{boss.call_of(d)['id']}/hold").status == 200
    p.see("button", "On hold 1")
    p.see("button", "All live 2")
    p.click("button", "On hold 1")
    p.gone("row", customer(c))
    p.see("row", f"{customer(d)}: On hold")
    assert "state=held" in p.js("location.hash"), p.js("location.hash")
    p.send("Page.reload")
    p.see("row", f"{customer(d)}: On hold")
    assert not p.find("row", customer(c)), "the filter is in the address"
    p.click("button", "All live 2")
    p.see("row", customer(c))
    p.press("/")
    p.type("nobody is called so")
    p.reads("No live call matches.")
    p.click("button", "Show all")
    p.see("row", customer(c))
    p.press("/")
    p.press("a", CTRL)
    p.type(display(lab, a.ua))
    p.gone("row", customer(d))
    p.see("row", customer(c))
    end(c, a)
    end(d, e)


@tap.case("everybody is listed as a target; who cannot take the call says why")
def reasons(lab):
    away, gone, ringing, off = lab.phone(), lab.phone(), lab.phone(), lab.phone()
    member(lab, away, "sales")
    gone.register(expires=0, contacts=["*"])
    lab.sql(f"update segue.users set enabled = false where name = '{off.user}';"
            "insert into segue.users (name, display_name) values ('desk', 'Front Desk');"
            "insert into segue.queues (name, number, display_name, max_length) values "
            "('small', '4020', 'Small', 1), ('empty', '4021', 'Nobody here', null), "
            "('night', '4022', 'Night desk', null);"
            "insert into segue.queues (name, number, display_name, time_zone) values "
            "('far', '4023', 'Far desk', 'Asia/Kathmandu');"
            "insert into segue.queue_exceptions select 'far', (now() at time zone 'UTC')::date + d "
            "from generate_series(-1, 2) d;"
            "insert into segue.queue_exceptions select 'night', (now() at time zone 'UTC')::date + d "
            "from generate_series(-1, 1) d")
    day = lab.rows("select max(day) + 1 as at from segue.queue_exceptions where queue = 'night'")[0]["at"]
    opens = datetime.fromisoformat(f"{day}T00:00:00+00:00").astimezone()  # as the browser: where this runs
    midnight = opens - timedelta(hours=5, minutes=45) + timedelta(days=1)  # there, as it is here
    far = f"Closed, opens {midnight:%a %H:%M} ({midnight + timedelta(hours=5, minutes=45):%a} 00:00 in Kathmandu)"
    waited = lab.phone()
    member(lab, waited, "small")
    boss = lab.login("boss")
    assert boss.post(f"/agents/{away.user}/state", {"state": "away", "reason": "training"}).status == 200
    r, s = ring(lab.trunk(), ringing.number, ringing)
    w = lab.trunk().invite("4020")
    x = waited.incoming()
    x.reply(180)
    p = lab.page()
    c, a = talk(lab)
    open_dialog(p, c)
    for who, why in ((display(lab, away), "Away: training"), (display(lab, gone), "Phone not connected"),
                     (display(lab, ringing), "Ringing"), (display(lab, off), "Switched off by an admin"),
                     ("Front Desk", "No phone set up"), (display(lab, a.ua), "Already on this call"),
                     ("Small", "Queue is full (1)"), ("Nobody here", "Nobody signed in"),
                     ("Night desk", f"Closed, opens {opens:%a %H:%M}"), ("Far desk", far)):
        p.wait(lambda: any(n.name.startswith(who) and why in n.name for n in p.find_all("option", who)),
               f"{who} cannot take it: {why}")
    p.press("Escape")
    p.js("location.hash = '#/queues'")
    card = p.see("region", "Night desk", exact=True)
    p.wait(lambda: "Closed" in card.text and f"opens {opens:%a %H:%M}" in card.text, "its card says so too")
    assert "(" not in card.text, "its time zone is the one of who reads it"
    there = p.see("region", "Far desk", exact=True)
    p.wait(lambda: far in " ".join(there.text.split()), "of another time zone it says what its clocks say")
    end(c, a)
    r.cancel()
    r.expect(487, method="INVITE")
    w.cancel()
    mine = lab.phone()
    member(lab, mine, "support")
    q = lab.page("sup")
    c, a = talk(lab, mine)
    open_dialog(q, c)
    other = lab.phone()
    q.type(display(lab, other))
    q.wait(lambda: "Outside your departments" in q.see("option", display(lab, other)).name, "it says why")
    q.press("Escape")
    end(c, a)


@tap.case("a queue against its goal: behind when somebody waits for longer; who waits, since when, which place")
def behind(lab):
    busy = lab.phone()
    lab.sql("insert into segue.queues (name, number, display_name, service_ms) values "
            "('slow', '4030', 'Slow desk', 1000)")
    member(lab, busy, "slow")
    p = lab.page(place="#/queues/slow")
    card = p.see("region", "Slow desk", exact=True)
    p.wait(lambda: "On goal" in card.text and "goal 0:01" in card.text, "it is on goal")
    p.reads("Nobody waits.")
    c = lab.trunk().invite("4030")
    a = busy.incoming()
    a.reply(180)
    d = lab.trunk().invite("4030")
    p.wait(lambda: "Behind" in card.text, "it is behind")
    p.wait(lambda: "2 waiting" in " ".join(card.text.split()), "two wait")
    lines = lambda: [n.text for n in p.find_all("listitem") if "Move to" in n.text]
    p.wait(lambda: len(lines()) == 2 and customer(c) in lines()[0] and "1st" in lines()[0]
           and customer(d) in lines()[1] and "2nd" in lines()[1], "in their order")
    p.reads("long ")
    p.js("location.hash = '#/queues/wall'")
    p.see("region", "Slow desk", exact=True)
    assert not p.find("button", "Move "), "a wall has no actions"
    p.click("link", "Leave full screen")
    c.cancel()
    d.cancel()
    text = lambda: " ".join(p.see("region", "Slow desk", exact=True).text.split())
    p.wait(lambda: "0 waiting" in text() and "0 % of the last 15 minutes in time, goal 80 %" in text()
           and "somebody waits" not in text(), "nobody waits too long now, but of the last 15 minutes nobody was in time")
    at_left = lambda: p.find("link", "Slow desk Behind: 0 % of the last 15 minutes in time, goal 80 %")
    p.wait(at_left, "the column at the left says the same")
    assert "Behind" in text() and "Answered in 0:01 last 15 min 0 % goal 80 %" in text(), text()
    lab.sql("update segue.segments set offered_at = offered_at - interval '15 min' where who = 'slow'")
    p.send("Page.reload")
    p.wait(lambda: "On goal" in text(), "the last 15 minutes are over")
    p.wait(lambda: p.find("link", "Slow desk") and not at_left(), "and at the left")


@tap.case("the last customers: found by a part of their number; a call that rings tells of the one before, not of itself")
def last_customers(lab):
    agent, line = lab.phone(), lab.trunk()
    c, a = talk(lab, agent, trunk=line)
    end(c, a)
    lab.conversation(c)
    p = lab.page(agent.user, "#/contacts", width=390, height=844, phone=True)
    p.see("link", customer(c))
    p.click("searchbox", "Find a customer")
    p.type(customer(c)[-4:])
    p.wait(lambda: p.find("region", "Found") and p.find("link", customer(c)), "it is found")
    p.type("9999")
    p.reads("Nobody who has called is called")
    p.js("location.hash = '#/desk'")
    p.see("button", "Sign out")
    d, e = ring(line, agent.number, agent)
    p.reads("Your phone is ringing")
    p.reads(f"{first(lab, agent)}. All of this customer")
    assert "nobody answered" not in p.says(), p.says()
    d.cancel()
    e.expect("CANCEL")


@tap.case("what has just ended is in the lists by itself: the last customers, the customer's page, my last calls, the log")
def just_ended(lab):
    agent, line = lab.phone(), lab.trunk()
    p, log = lab.page(agent.user, "#/contacts"), lab.page(agent.user, "#/log")
    p.reads("Nobody has called yet.")
    log.reads("No conversations yet.")
    c, a = talk(lab, agent, trunk=line)
    for page in (p, log):
        page.see("link", customer(c))
        page.reads("Live now")
    p.js("location.hash = '#/desk'")
    p.see("region", f"Call of {customer(c)}")
    assert not p.find("region", "My last calls"), "there was none"
    end(c, a)
    p.see("region", "My last calls")
    log.reads("Finished")
    log.gone("button", "new")
    p.js("location.hash = '#/contacts'")
    p.reads("Finished")
    p.click("link", customer(c))
    p.reads("Mostly with")
    d, a = talk(lab, agent, trunk=line)
    p.reads("Live now")
    end(d, a)
    p.wait(lambda: not p.has("Live now") and p.has("2 conversations"), "both are over")
    log.see("button", "1 new", exact=True)


@tap.case("names of any length and script: nothing sticks out, what is cut off is the end")
def names(lab):
    long, other = lab.phone(), lab.phone()
    name = "Wilhelmina Wolfeschlegelsteinhausenbergerdorffwelchevoralternwaren"
    lab.sql(f"update segue.users set display_name = '{name}' where name = '{long.user}'")
    line = lab.trunk(trusted=True)
    hebrew = "\u05e9\u05d9\u05e8\u05d4 \u05db\u05d4\u05df " * 12
    line.display = f'"{hebrew.strip()}" '
    p = lab.page(width=390, height=844, phone=True)
    c = line.invite(other.number)
    a = other.incoming()
    a.reply(180)
    pick_up(c, a)
    who = p.see("row", hebrew.split()[0])
    cut = """const e = this.querySelector('.cust .clip'), s = getComputedStyle(e);
        return [s.direction, e.scrollWidth > e.clientWidth, this.querySelector('.with').offsetLeft > e.offsetLeft];"""
    assert who.call(cut) == ["rtl", True, True], who.call(cut)
    p.resize(1024, 768)
    p.wait(lambda: p.find("button", "Transfer \u2068"), "it can be moved")
    p.click("button", "Transfer \u2068")
    p.see("option", "Wilhelmina")
    p.type("wilh")
    p.see("button", "Send to Wilhelmina")
    plan = "(e => e.scrollWidth <= e.clientWidth && [...e.querySelectorAll('*')].every(x => " \
           "x.getBoundingClientRect().right <= e.getBoundingClientRect().right))(document.querySelector('.plan'))"
    assert p.js(plan), "the plan stays within its column"
    p.press("Escape")
    end(c, a)


@tap.case("a queue that is opened shows who waits, also if its card is one of many")
def in_sight(lab):
    lab.sql("insert into segue.queues (name, number, display_name) select 'z' || n, '41' || n, 'Desk ' || n "
            "from generate_series(10, 21) n")
    p = lab.page(place="#/queues", width=1024, height=600)
    p.click("link", "Desk 10", exact=True)
    waiting = p.see("region", "Desk 10: who waits")
    p.wait(lambda: waiting.box()[1] >= 0 and sum(waiting.box()[1::2]) <= 600 + 1, "it is in sight")


@tap.case("the desk: free after this call, a note, hold; a call that is sent is declined, and who keeps it is said")
def desk(lab):
    mine, other = lab.phone(), lab.phone()
    member(lab, mine, "sales")
    p = lab.page(mine.user)
    p.see("button", "Free", exact=True)
    c, a = talk(lab, mine)
    p.see("region", f"Call of {customer(c)}")
    p.see("button", "Free after this call")
    p.click("button", f"Hold: {customer(c)}")
    p.click("button", f"Take off hold: {customer(c)}")
    joined(c, a)
    p.click("textbox", "Note")
    p.type("Wants the invoice by post.")
    p.click("button", "Keep note")
    wait("the note is on record", lambda: lab.rows(
        f"select 1 from segue.notes where author = '{mine.user}' and body = 'Wants the invoice by post.'"))
    end(c, a)
    d, e = talk(lab, other)
    boss = lab.login("boss")
    assert boss.post(f"/calls/{boss.call_of(d)['id']}/transfer", {"number": mine.number}).status == 201
    b = mine.incoming()
    b.reply(180)
    p.see("region", f"{customer(d)} rings")
    p.reads(f"If nobody picks up, {first(lab, other)} keeps the call.")
    p.click("button", f"Decline, {first(lab, other)} keeps it")
    b.expect("CANCEL")
    joined(d, e)
    p.gone("region", f"{customer(d)} rings")
    end(d, e)


@tap.case("letters are commands until they are switched off; ? lists them; g, then a letter, goes to a place")
def letters(lab):
    p = lab.page()
    c, a = talk(lab)
    p.see("row", customer(c))
    for letter, title in (("q", "Queues and agents"), ("c", "Call log"), ("l", "Live calls")):
        p.press("g")
        p.press(letter)
        p.wait(lambda: p.find("heading", title), f"g {letter} goes to {title}")
    p.press("?")
    p.see("dialog", "Keyboard")
    p.click("checkbox", "Single letters are commands")
    p.press("Escape")
    p.gone("dialog", "Keyboard")
    row = p.see("row", customer(c))
    row.call("this.focus()")
    for letter in "tx?g":
        p.press(letter)
    p.press("q")
    p.press("Enter")  # opens the call: whatever the letters had done, it would have been done before
    p.see("region", f"Call of {customer(c)}")
    assert not p.find("dialog") and not p.find("button", "Keep call of"), p.says()
    p.click("button", "Keyboard")
    p.click("checkbox", "Single letters are commands")
    p.press("Escape")
    p.see("row", customer(c)).call("this.focus()")
    p.press("x")
    p.see("button", f"Keep call of {customer(c)}")
    end(c, a)


@tap.case("success fades by itself; a caller who has left can be called back")
def fades(lab):
    p = lab.page()
    c, a = talk(lab)
    t = lab.phone()
    send(p, c, display(lab, t))
    b = t.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    p.see("region", "Transfer ended")
    p.gone("region", "Transfer ended")
    end(c, b)
    c, a = talk(lab)
    t = lab.phone()
    send(p, c, display(lab, t))
    b = t.incoming()
    b.reply(180)
    p.reads(f"{of(lab, t)} phone is ringing.")
    c.hangup()
    p.reads(f"{customer(c)} hung up before {first(lab, t)} answered. Nobody was connected.")
    p.see("button", f"Call back: {customer(c)}")
    p.click("button", "Dismiss")
    p.gone("region", "Transfer ended")


if __name__ == "__main__":
    tap.main(lambda: PanelLab(t={"ring": 60000, "setup": 120000}), jobs=1)
