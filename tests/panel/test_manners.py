"""The panel under somebody's hands: a button whose verb has just changed, rows under the pointer, keys of the dialog,
the widget on a phone, notes on a conversation's page, and what is read out."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from browser import ALT
from flows import end, joined, talk, wait
from panel import PanelLab, customer, display, first, member, middle, of, open_dialog

ENDED_MS = 3000  # live.js: so long the row of a call that has ended stays, if nobody is on the list

# Clicks the one button of the row in the very task in which its name begins so: nobody can be faster.
HASTY = """(name => {
	window.hasty = 0;
	new MutationObserver((_, me) => {
		const e = [...document.querySelectorAll('tr[data-id] button')]
			.find(b => (b.getAttribute('aria-label') || '').startsWith(name));
		if (!e) return;
		me.disconnect();
		window.hasty++;
		e.click();
	}).observe(document, {subtree: true, childList: true, attributes: true});
})"""

HASTY_DECLINE = """(() => {
	window.hasty = 0;
	new MutationObserver((_, me) => {
		const e = [...document.querySelectorAll('.pop button')].find(b => b.textContent.startsWith('Decline'));
		if (!e) return;
		me.disconnect();
		window.hasty++;
		e.click();
	}).observe(document, {subtree: true, childList: true});
})()"""

# Everything that is read out, in order.
EAR = """(() => {
	window.heard = [];
	const el = document.getElementById('status');
	new MutationObserver(() => window.heard.push(el.textContent)).observe(el,
		{childList: true, characterData: true, subtree: true});
})()"""


class MannersLab(PanelLab):
    """Phones ring for as long as a case looks at them."""

    def __init__(self, **kw):
        super().__init__(**{"t": {"ring": 60000}, **kw})


def asked(p, verb):
    return [r for r in p.requests if r.endswith("/" + verb)]


@tap.case("a place whose verb has just changed does not hear clicks: neither Cancel nor Hand over is hit by haste")
def deaf(lab):
    boss = lab.login("boss")
    p = lab.page()
    c, a = talk(lab)
    p.see("button", f"Transfer {customer(c)}", exact=True)
    call = boss.call_of(c)["id"]
    for kind, verb, word in (("blind", "cancel", "Cancel"), ("consult", "complete", "Hand over")):
        p.js(f"{HASTY}('{word}')")
        t = lab.phone()
        assert boss.post(f"/calls/{call}/transfer", {"number": t.number, "kind": kind}).status == 201
        b = t.incoming()
        b.reply(180)
        p.wait(lambda: p.js("window.hasty") == 1, f"{word} was clicked the moment it appeared")
        if kind == "consult":
            b.answer()
            b.expect("ACK")
            joined(a, b)
        button = lambda: p.find("button", f"{word}: {customer(c)}")
        p.wait(lambda: button() and not button().call("return this.getAttribute('aria-busy')"), "it hears again")
        assert not asked(p, verb), p.requests
        p.click("button", f"{word}: {customer(c)}")
        p.wait(lambda: asked(p, verb), f"{verb} was asked for")
        if kind == "blind":
            b.expect("CANCEL")
            joined(c, a)
            p.see("button", f"Transfer {customer(c)}", exact=True)
    joined(c, b)
    a.expect("BYE")
    end(c, b)


@tap.case("rows stand still under the pointer: who has gone stays, who comes is last; then the list is tidied")
def stands_still(lab):
    p = lab.page()
    c, a = talk(lab)
    d, b = talk(lab)
    row = lambda x: p.see("row", customer(x))
    order = lambda: [n.name.split(":")[0] for n in p.find_all("row", "+49")]
    p.wait(lambda: order() == [customer(c), customer(d)], "the oldest is first")
    p.hover(row(d))
    at = row(d).box()
    end(c, a)
    p.wait(lambda: "Ended" in row(c).text, "it says that it has ended")
    ended = p.js("performance.now()")
    e, f = talk(lab)
    p.wait(lambda: order() == [customer(c), customer(d), customer(e)], "who comes is last, nobody has moved")
    p.wait(lambda: p.js("performance.now()") > ended + ENDED_MS + 1000, "the time of the ended row is over")
    assert order() == [customer(c), customer(d), customer(e)], order()
    assert row(d).box() == at, (row(d).box(), at)
    p.away()
    p.wait(lambda: order() == [customer(d), customer(e)], "nobody is on the list: it is tidied")
    row(e).call("this.focus()")
    p.press("ArrowUp")  # the keyboard holds the list as well
    assert p.focus().startswith(customer(d)), p.focus()
    end(d, b)
    p.wait(lambda: "Ended" in row(d).text, "it says that it has ended")
    ended = p.js("performance.now()")
    p.wait(lambda: p.js("performance.now()") > ended + ENDED_MS + 1000, "the time of the ended row is over")
    assert order() == [customer(d), customer(e)] and p.focus().startswith(customer(d)), (order(), p.focus())
    end(e, f)


@tap.case("why a button is off stands over the row: nothing moves for it")
def says_why(lab):
    p = lab.page()
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    agent.incoming().reply(180)
    d, a = talk(lab)
    off = f"Transfer {customer(c)}: not answered yet"
    p.see("button", off)
    at = p.see("row", customer(d)).box()
    p.click("button", off)
    p.reads(f"Nobody has answered yet. You can transfer as soon as {first(lab, agent)} answers.")
    assert p.see("row", customer(d)).box() == at, (p.see("row", customer(d)).box(), at)
    says = p.see("button", off)
    x, y, w, h = says.box()
    assert says.call("return document.elementFromPoint(...args) === this", x + w / 2, y + h / 2), "it is in sight"
    c.cancel()
    c.expect(487, method="INVITE")
    end(d, a)


@tap.case("Alt 1 to 5 choose the kind of target, Alt A asks first; the field keeps the focus and what was typed")
def alt_keys(lab):
    lab.sql("insert into segue.ivrs (name, number, peer, dial, display_name) values "
            "('pay', '8010', 'peer59', '8010', 'Payment line')")
    p = lab.page()
    c, a = talk(lab)
    t = lab.phone()
    open_dialog(p, c)
    p.see("option", display(lab, t))
    p.see("option", "Payment line")
    p.see("option", "Support")
    kinds = [n.name.split(" ")[0] for n in p.find_all("button")
             if n.properties.get("pressed") is not None and n.name.split(" ")[0] in
             ("All", "People", "Departments", "Menus", "Number")]
    assert kinds == ["All", "People", "Departments", "Menus", "Number"], kinds
    pressed = lambda: [n.name.split(" ")[0] for n in p.find_all("button") if n.properties.get("pressed") == "true"
                       and n.name.split(" ")[0] in kinds]
    shown = lambda: {who for who in (display(lab, t), "Support", "Payment line")
                     if any(n.name.startswith(who) for n in p.find_all("option"))}
    everything = {display(lab, t), "Support", "Payment line"}
    for key, kind, who in (("2", "People", {display(lab, t)}), ("3", "Departments", {"Support"}),
                           ("4", "Menus", {"Payment line"}), ("5", "Number", set()), ("1", "All", everything)):
        p.press(key, ALT)
        p.wait(lambda: pressed() == [kind] and shown() == who, f"Alt {key}: {kind}")
        assert p.focus() == "Name, department or number", p.focus()
    p.type("pay")
    p.press("4", ALT)
    p.see("button", "Send to Payment line")
    p.press("a", ALT)
    p.see("button", "Ask Payment line")
    assert p.js("document.activeElement.value") == "pay", "what was typed stays"
    p.press("Escape")
    end(c, a)


@tap.case("whose phone comes while the dialog's list is on its way can be chosen, like whose phone came before")
def comes_meanwhile(lab):
    p = lab.page()
    c, a = talk(lab)
    t = lab.user()
    p.see("button", f"Transfer {customer(c)}", exact=True)
    p.slow(2000)  # from here on answers are late; what is pushed is not
    p.click("button", f"Transfer {customer(c)}", exact=True)
    p.wait(lambda: asked(p, "targets"), "the list is asked for")
    lab.login("boss")  # is answered after it
    t.register()
    p.type(display(lab, t))
    p.see("button", f"Send to {first(lab, t)}")
    p.press("Escape")
    end(c, a)


@tap.case("the widget on a phone: a bar that opens a sheet, from which a call is moved; none on the page of live calls")
def sheet(lab):
    p = lab.page(place="#/log", width=390, height=844, phone=True)
    p.reads("No live calls")
    c, a = talk(lab)
    d, b = talk(lab)
    bar = lambda: next((n for n in p.find_all("button", "Live calls") if "expanded" in n.properties), None)
    p.wait(lambda: bar() and bar().name.startswith("2"), "the bar counts them")
    assert not p.find("button", "Hang up: "), "it is shut until it is asked for"
    p.mouse(*middle(bar()))
    p.see("button", f"Hang up: {customer(d)}")
    x, y, w, h = p.see("button", f"Transfer {customer(c)}", exact=True).box()
    assert w >= 44 and h >= 44, (w, h)
    assert p.js("document.body.scrollWidth") <= 390
    top = bar().box()[1]
    assert top > 0.3 * 844, f"the page stays in sight above the sheet: it begins at {top}"
    p.click("button", f"Transfer {customer(c)}", exact=True)
    t = lab.phone()
    p.see("combobox", "Name, department or number")
    p.type(display(lab, t))
    p.click("button", f"Send to {first(lab, t)}")
    one = t.incoming()
    one.reply(180)
    p.wait(lambda: re.search(rf"{first(lab, t)}, \d+ s\b", p.says()), "the sheet says who rings, and for how long yet")
    p.click("button", f"Cancel: {customer(c)}")
    one.expect("CANCEL")
    joined(c, a)
    p.mouse(*middle(bar()))
    p.gone("button", "Hang up: ")
    p.mouse(*middle(bar()))
    p.click("link", "All 2 live calls")
    p.see("row", customer(c))
    assert not bar(), "the page of live calls is the same list: there is no bar"
    p.js("location.hash = '#/log'")
    p.wait(bar, "the bar is back")
    end(c, a)
    end(d, b)


@tap.case("a note on the page of a conversation that goes on; when it is over there is nothing to write")
def notes(lab):
    p = lab.page()
    c, a = talk(lab)
    conv = lab.conversation(c, final=False)["id"]
    p.js(f"location.hash = '#/log/{conv}'")
    p.click("textbox", "New note")
    p.type("Wants the invoice by post.")
    p.click("button", "Keep note")
    p.reads("The Boss")
    wait("the note is on record", lambda: lab.rows(
        f"select 1 from segue.notes where conversation_id = '{conv}' and author = 'boss' "
        "and body = 'Wants the invoice by post.'"))
    p.wait(lambda: "Wants the invoice by post." in p.see("region", "Notes").text, "it stands under Notes")
    p.wait(lambda: p.see("textbox", "New note").call("return this.value") == "", "the field is empty again")
    end(c, a)
    lab.ledger(c)
    p.gone("textbox", "New note")
    assert "Wants the invoice by post." in p.see("region", "Notes").text


@tap.case("calls of the list that is being read are said to have ended, those of one moment in one sentence")
def read_out(lab):
    p = lab.page()
    calls = [talk(lab) for _ in range(4)]
    stays = calls.pop(0)
    p.see("row", customer(calls[-1][0]))
    p.see("row", customer(stays[0])).call("this.focus()")
    p.js(EAR)
    for c, a in calls:
        c.hangup()
    for c, a in calls:
        a.expect("BYE")

    def ended():
        """How many calls were said to have ended, and in how many sentences."""
        text = " ".join(p.js("window.heard"))
        many = [int(n) for n in re.findall(r"(\d+) calls ended\.", text)]
        one = [c for c, _ in calls if f"The call of {customer(c)} has ended." in text]
        return sum(many) + len(one)

    p.wait(lambda: ended() == 3, "each was told of, once")
    assert not any("changes" in said for said in p.js("window.heard")), p.js("window.heard")
    p.js("location.hash = '#/queues'")
    p.see("heading", "Queues and agents")
    p.js("document.querySelector('main').focus(), window.heard.length = 0")
    end(*stays)
    p.reads("No live calls")
    p.click("link", "Live calls")
    p.reads("No calls right now.")
    assert not any("ended" in said for said in p.js("window.heard")), p.js("window.heard")


@tap.case("who waits is moved elsewhere: nobody is there who could ask first or stay, and the choices say so")
def nobody_stays(lab):
    busy, other = lab.phone(), lab.phone()
    member(lab, busy, "support")
    member(lab, other, "sales")
    p = lab.page(place="#/queues/support")
    c = lab.trunk().invite("4001")
    busy.incoming().reply(180)
    p.click("button", f"Move to …: {customer(c)}")
    p.see("combobox", "Name, department or number")
    p.type("sales")
    p.see("button", "Send to Sales")
    p.reads("The caller waits in Sales with music.")
    tick = p.see("checkbox", "Nobody is with the caller who could stay")
    assert tick.off, "it is off"
    p.click("checkbox", "Nobody is with the caller who could stay")
    assert not tick.call("return this.checked"), "and stays so"
    p.js("document.getElementById('who').focus()")
    p.press("a", ALT)
    p.reads("Nobody is with the caller who could ask first.")
    assert p.see("radio", "Nobody to ask first").off
    p.click("button", "Send to Sales")
    m = other.incoming()
    m.reply(180)
    m.answer()
    c.expect(200, method="INVITE")
    c.ack()
    m.expect("ACK")
    joined(c, m)
    end(c, m)


@tap.case("Hold and Record: a double click is one, it is read out, and the focus stays where the next verb is")
def twice(lab):
    mine = lab.phone()
    p = lab.page(mine.user)
    c, a = talk(lab, mine)
    p.see("region", f"Call of {customer(c)}")
    p.js(EAR)
    count = lambda verb: len(asked(p, verb))
    for word, verb, then, said in (("Hold", "hold", "Take off hold", f"{customer(c)} is on hold."),
                                   ("Take off hold", "unhold", "Hold", f"{customer(c)} is off hold.")):
        button = lambda: p.find("button", f"{word}: {customer(c)}", exact=True)
        p.wait(lambda: button() and not button().call("return !!this.closest('[aria-busy=true]')"), "it hears")
        button().call("this.focus(); this.click(); this.click()")
        p.wait(lambda: p.focus() == f"{then}: {customer(c)}", f"the focus is on {then}")
        p.wait(lambda: said in " ".join(p.js("window.heard")), f"it is read out: {said}")
        assert count(verb) == 1, p.requests
    joined(c, a)
    p.wait(lambda: not p.js("!!document.querySelector('.main [aria-busy=true]')"), "it hears")
    assert not p.find("region", "Not done"), p.says()
    end(c, a)


@tap.case("what cannot be sent is said where it is seen, on a page that has no row of the call as well")
def not_sent(lab):
    p = lab.page(place="#/contacts", width=390, height=844, phone=True)
    c, a = talk(lab)
    t = lab.phone()
    boss = lab.login("boss")
    assert boss.post(f"/calls/{boss.call_of(c)['id']}/transfer", {"number": t.number}).status == 201
    b = t.incoming()
    b.reply(180)
    p.reads(f"{of(lab, t)} phone is ringing.")
    p.allowed.append("ERR_INTERNET_DISCONNECTED")
    offline = lambda yes: p.send("Network.emulateNetworkConditions", {
        "offline": yes, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
    offline(True)
    p.click("button", f"Cancel: {customer(c)}")
    p.see("region", "Not done")
    p.reads("Not sent: no connection to segue.")
    offline(False)
    p.click("button", "Dismiss")
    p.gone("region", "Not done")
    p.click("button", f"Cancel: {customer(c)}")
    b.expect("CANCEL")
    joined(c, a)
    end(c, a)


@tap.case("a call that rings for somebody who is about something else moves nothing, and is not declined by haste")
def pop_floats(lab):
    mine, other = lab.phone(), lab.phone()
    p = lab.page(mine.user, "#/contacts")
    boss = lab.login("boss")
    c, a = talk(lab, other)
    field = p.see("searchbox", "Find a customer")
    at = field.box()
    p.js(HASTY_DECLINE)
    assert boss.post(f"/calls/{boss.call_of(c)['id']}/transfer", {"number": mine.number}).status == 201
    b = mine.incoming()
    b.reply(180)
    p.see("region", f"{customer(c)} rings")
    assert field.box() == at, (field.box(), at)
    p.wait(lambda: p.js("window.hasty") == 1, "Decline was clicked the moment it appeared")
    decline = lambda: p.find("button", "Decline")
    p.wait(lambda: decline() and not decline().call("return this.getAttribute('aria-busy')"), "it hears")
    assert not asked(p, "cancel"), p.requests
    p.click("button", "Decline")
    b.expect("CANCEL")
    joined(c, a)
    end(c, a)


@tap.case("on the desk a second call that rings moves nothing of the one that goes on")
def pop_beside(lab):
    mine = lab.phone()
    p = lab.page(mine.user)
    c, a = talk(lab, mine)
    hold = p.see("button", f"Hold: {customer(c)}")
    settled = []

    def stands():
        settled.append(hold.box())
        return len(settled) > 1 and settled[-1] == settled[-2]
    p.wait(stands, "the card of the call stands still")
    second = lab.trunk().invite(mine.number)
    b = mine.incoming()
    b.reply(180)
    p.see("region", f"{customer(second)} rings")
    assert hold.box() == settled[-1], (hold.box(), settled[-1])
    second.cancel()
    b.expect("CANCEL")
    p.gone("region", f"{customer(second)} rings")
    end(c, a)


@tap.case("the last calls of the desk stand still under the pointer; the day's figures do not wait for it")
def last_calls_stand(lab):
    mine, line = lab.phone(), lab.trunk()
    p = lab.page(mine.user)
    listed = lambda: len(p.see("region", "My last calls").call(
        "return [...this.querySelectorAll('li')].map(e => e.innerText)"))
    answered = lambda: p.see("region", "My day").call("return this.querySelector('.figures b').innerText")

    def short_call():  # as long as the page needs to hear of it
        c, a = talk(lab, mine, trunk=line)
        p.see("region", f"Call of {customer(c)}")
        end(c, a)
        return c
    p.hover(p.see("link", customer(short_call())))
    short_call()
    p.wait(lambda: answered() == "2", "the day has both calls")
    assert listed() == 1, "it has moved under the pointer"
    p.away()
    p.wait(lambda: listed() == 2, "the list has both calls")


@tap.case("the word for who is rung is there also for a page that was opened when it was written already")
def late_page(lab):
    boss = lab.login("boss")
    c, a = talk(lab)
    t = lab.phone()
    call = boss.call_of(c)["id"]
    assert boss.post(f"/calls/{call}/transfer", {"number": t.number}).status == 201
    b = t.incoming()
    b.reply(180)
    assert boss.post(f"/calls/{call}/note", {"text": "Wants two more chairs."}).status in (200, 201, 204)
    wait("the note is on record", lambda: lab.rows("select 1 from segue.notes where body = 'Wants two more chairs.'"))
    p = lab.page(t.user)
    p.see("region", f"{customer(c)} rings")
    p.reads("Wants two more chairs.")
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    end(c, b)


if __name__ == "__main__":
    tap.main(MannersLab, jobs=1)
