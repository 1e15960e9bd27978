"""The panel with a full house: every place at five widths, one in the dark, and the pictures of the docs.

    SEGUE_SHOTS=docs/img python3 tests/panel/test_pictures.py     # makes them anew
"""
import os
import shutil
import subprocess
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from scene import CUSTOMERS, PLACES, Scene, SceneLab

SHOTS = os.environ.get("SEGUE_SHOTS")
AGE = 75  # seconds that calls go on before their picture is taken for the docs
DAY = (1, 2, 3, 4, 3, 5, 4, 3, 2, 4, 5, 4, 3, 4)  # callers of each half hour, for the docs


WIDTHS = ((390, 844), (768, 1024), (1024, 768), (1280, 800), (1440, 900))
LOOK = """(() => {
	const wide = document.querySelector('.main').scrollWidth - document.querySelector('.main').clientWidth;
	const seen = e => e.getClientRects().length && getComputedStyle(e).visibility === 'visible';
	const all = [...document.querySelectorAll('button, a[href], input, select')].filter(seen);
	const small = all.filter(e => !e.closest('p, h2, td, dd, label, .skip')
		&& Math.min(e.getBoundingClientRect().width, e.getBoundingClientRect().height) < 24);
	const said = e => e.outerHTML.slice(0, 120);
	const scrolls = '.tiles, .picks, .kinds, .paper, .opts, .sr, .skip';
	// what its card cuts off at the right, and columns that are squeezed to nothing
	const cut = [...document.querySelectorAll('.card :is(button, .pill, h2, b, time)')].filter(e => seen(e)
		&& !e.closest(scrolls) && !e.closest('.clip')
		&& e.getBoundingClientRect().right > e.closest('.card').getBoundingClientRect().right + 1);
	const shown = e => seen(e) && !e.closest('.sr') && getComputedStyle(e).clipPath === 'none';
	const thin = [...document.querySelectorAll('.calls :is(td, th)')].filter(e => shown(e)
		&& e.textContent.trim() && !e.querySelector(':scope > .sr:only-child') && e.offsetWidth < 44);
	const over = [...document.querySelectorAll('.calls th')].filter(e => shown(e) && e.scrollWidth > e.clientWidth + 1);
	// buttons of a row that touch: a sheet is missing
	const near = [...document.querySelectorAll('.card .btn + .btn:not(.bare)')].filter(e => seen(e) && !e.closest('.tight')
		&& Math.abs(e.offsetTop - e.previousElementSibling.offsetTop) < 4
		&& e.getBoundingClientRect().left - e.previousElementSibling.getBoundingClientRect().right < 6);
	// the widget beside the page: names of two words, seconds left; and what stands beside the page's name
	const short = [...document.querySelectorAll('.dock li .clip')].filter(e => e.scrollWidth > e.clientWidth + 1);
	const below = innerWidth > 1000 ? [...document.querySelectorAll('.head > :is(.net, .theme)')].filter(e =>
		e.getBoundingClientRect().top > document.querySelector('.head h1').getBoundingClientRect().bottom) : [];
	return { wide, near: near.map(said), small: small.map(said), cut: cut.map(said),
		thin: [...thin, ...over, ...short, ...below].map(said) };
})()"""


DRAWN = "new Promise(r => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(r))))"
LOADED = "!!document.querySelector('main h1')?.textContent && !document.querySelector('.bones')"  # quickly asked
NAMED = ("button", "link", "textbox", "combobox", "searchbox", "navigation", "region", "image", "table", "dialog",
         "group", "radiogroup", "listbox", "radio", "checkbox")


def perceived(p, where):
    """What a screen reader finds its way by: one main part, one heading of the page, names for whatever can be
    used and for whatever is a landmark, a picture, a table, a list to choose from, or a choice; and no two
    landmarks of a name."""
    there = p.everything()
    assert len(there["main"]) == 1, (where, there["main"])
    for role in NAMED:
        nameless = [n for n in there.get(role, ()) if not n.name.strip()]
        assert not nameless, (where, role, [n.call("return this.outerHTML.slice(0, 200)") for n in nameless])
    for role in ("navigation", "region"):
        names = [n.name for n in there.get(role, ())]
        assert len(set(names)) == len(names), (where, role, names)
    titles = p.js("[...document.querySelectorAll('h1')].filter(e => e.getClientRects().length).length")
    assert titles == 1, (where, titles)
    order = p.js("[...document.querySelectorAll('main h1, main h2, main h3')].map(e => Number(e.tagName[1]))")
    assert all(b - a <= 1 for a, b in zip(order, order[1:])), (where, order)


def layout(lab, s):
    """Nothing sticks out, is too small to hit or has no name: every place, five widths, one in the dark."""
    p = lab.page()
    p.see("row", "Harbour Dental")
    call = next(c["id"] for c in s.boss.get("/calls").json["calls"] if c["customer"]["name"] == "Priya Raman")
    places = [f"#/live/{call}", *PLACES.values(), f"#/log/{s.story}", f"#/contacts/{CUSTOMERS['Priya Raman']}", "#/cases/20418",
              "#/queues/support"]
    for dark in (False, True):
        p.scheme(dark)
        for width, height in (WIDTHS[0],) if dark else WIDTHS:  # colours move nothing
            p.resize(width, height, phone=width < 500)
            for place in places:
                p.js(f"location.hash = '{place}'; {DRAWN}")
                p.wait(lambda: p.js(LOADED), "it has loaded")
                look = p.js(LOOK)
                where = (place, width, "dark" if dark else "light")
                assert look["wide"] <= 0, (where, look)
                assert not look["small"] and not look["near"], (where, look)
                assert not look["cut"] and not look["thin"], (where, look)
                if not dark:
                    perceived(p, where)
            p.js("location.hash = '#/live'")
            p.click("button", "Transfer Harbour Dental", exact=True)
            p.see("option", "Kofi Mensah")
            look = p.js(LOOK)
            assert not look["small"], ("dialog", width, look)
            p.press("Escape")
            p.gone("option", "Kofi Mensah")



def take(p, directory, name):
    p.away()
    p.wait(lambda: not p.find("image", "Loading"), "it has loaded")
    path = os.path.join(directory, name + ".png")
    p.shot(path)
    if shutil.which("pngquant"):  # a third of the size
        subprocess.run(["pngquant", "--force", "--output", path, "96", path], check=True)


def pictures(lab, s):
    directory = SHOTS or os.path.join(lab.dir, "pictures")
    os.makedirs(directory, exist_ok=True)
    p = lab.page("sup", width=1440, height=900)
    p.see("row", "Harbour Dental")
    take(p, directory, "live")
    p.click("button", "Transfer Harbour Dental", exact=True)
    p.see("option", "Bob Meyer")
    p.click("textbox", "A word for")
    p.type("Wants a quote for two more chairs.")
    p.js("document.getElementById('who').focus()")
    take(p, directory, "transfer")
    p.press("Enter")
    b = s.phone("Bob").incoming()
    b.reply(180)
    p.reads("Bob’s phone is ringing. Harbour Dental hears music; Carol is still on the line.")
    p.scheme(True)
    time.sleep(2 if SHOTS else 0)  # the ring has moved
    take(p, directory, "following")
    p.click("button", "Cancel: Harbour Dental")
    b.expect("CANCEL")
    p.click("button", "Dismiss")
    p.js("location.hash = '#/log'")
    p.see("table", "Call log")
    take(p, directory, "log")
    p.scheme(False)
    p.js(f"location.hash = '#/log/{s.story}'")
    p.see("group", "Score")
    take(p, directory, "conversation")
    p.js("location.hash = '#/queues'")
    p.see("region", "Support")
    take(p, directory, "queues")
    p.js("location.hash = '#/contacts'")
    p.see("link", "Priya Raman")
    take(p, directory, "contacts")
    phone = lab.page("sup", width=390, height=844, phone=True)
    phone.see("row", "Harbour Dental")
    take(phone, directory, "phone")
    for name in ("live", "transfer", "following", "log", "conversation", "queues", "contacts", "phone"):
        assert os.path.getsize(os.path.join(directory, name + ".png")) > 10000, name


@tap.case("a full house: the pictures of the docs; nothing sticks out, is too small to hit or has no name")
def full_house(lab):
    s = Scene(lab, settle=AGE if SHOTS else 0, day=DAY if SHOTS else ())
    tap.at_end(s.end)
    pictures(lab, s)
    layout(lab, s)


if __name__ == "__main__":
    tap.main(SceneLab, jobs=1)
