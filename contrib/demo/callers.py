#!/usr/bin/env python3
"""Simulated customers who keep calling, and phones that answer them, so that the panel is alive.

    callers.py SERVER PORT TRUNK_ADDRESS PASSWORDS

PASSWORDS is the file of "user password" lines that quickstart makes. A phone that somebody has
registered for real is rung beside the simulated one. Ends with SIGTERM: its calls are hung up.
"""
import os
import random
import signal
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/lib"))

from ua import Ua

CUSTOMERS = [("Harbour Dental", "+12025550143"), ("Okafor and Sons", "+12025550109"), ("Northgate Clinic", "+12025550133"),
             ("Lindt Gardens", "+442079460132"), ("Corner Bakery", "+442079460176"), ("", "+12025550198"),
             ("Blue Bicycle", "+12025550171"), ("Village School", "+442079460187")]
DIALLED = ["200", "200", "200", "101", "102"]
AT_ONCE = 4         # calls at most
EXPIRES = 60        # seconds that a registration lasts
stop = threading.Event()
dialling = threading.Lock()  # the trunk shows one name at a time


class Quiet:
    """A ladder that keeps nothing: this runs for days."""

    def add(self, *message):
        pass


class Phone:
    """Answers after a while; busy while it talks; holds now and then; sometimes does not answer."""

    def __init__(self, server, user, password):
        self.ua = Ua(user, server, user=user, password=password, ladder=Quiet())
        self.talking = False
        for work in (self.stay_registered, self.serve):
            threading.Thread(target=work, daemon=True).start()

    def stay_registered(self):
        while True:
            try:
                self.ua.register(expires=0 if stop.is_set() else EXPIRES, timeout=5)
            except AssertionError:
                pass  # segued restarts: the next try finds it
            if stop.is_set():
                return
            stop.wait(EXPIRES / 2)

    def serve(self):
        while not stop.is_set():
            try:
                call = self.ua.incoming(timeout=3600)
            except AssertionError:
                continue
            threading.Thread(target=self.take, args=(call,), daemon=True).start()

    def take(self, call):
        if self.talking:
            call.reply(486)
            return
        call.reply(180)
        if stop.wait(random.uniform(2, 6)) or self.talking or call.holds("CANCEL"):
            return
        if random.random() < 0.1:
            call.reply(603)
            return
        self.talking = True
        try:
            call.answer()
            self.talk(call)
        except AssertionError:
            pass  # the other side was faster
        self.talking = False

    def talk(self, call):
        while not stop.wait(1) and not call.holds("BYE"):
            if random.random() < 0.02:
                self.hold(call)
        if stop.is_set():
            call.hangup()

    def hold(self, call):
        for direction in ("sendonly", "sendrecv"):
            call.sdp = call.sdp.copy(dir=direction)
            call.reinvite(call.sdp)
            if stop.wait(random.uniform(5, 15)) or call.holds("BYE"):
                return


def dial(trunk, name, number):
    with dialling:
        trunk.display = f'"{name}" ' if name else ""
        return trunk.invite(random.choice(DIALLED), from_uri=f"sip:{number}@{trunk.domain}")


def customer(trunk, who):
    """One call, until somebody hangs up or patience ends."""
    call = dial(trunk, *who)
    patience, answered = time.monotonic() + random.uniform(40, 90), None
    while not stop.wait(0.5):
        if call.holds("BYE") or call.holds(range(300, 700)):
            return
        if answered is None and call.holds(200):
            call.ack()
            answered = time.monotonic()
            patience = answered + random.uniform(40, 240)
        if time.monotonic() > patience:
            break
    try:
        call.hangup() if answered else call.cancel()
    except AssertionError:
        pass  # segued has gone, and the call with it


def keep_calling(trunk):
    calls, free = {}, list(CUSTOMERS)
    while not stop.is_set():
        for who, thread in list(calls.items()):
            if not thread.is_alive():
                del calls[who]
                free.append(who)
        if free and len(calls) < AT_ONCE:
            who = free.pop(random.randrange(len(free)))
            calls[who] = threading.Thread(target=customer, args=(trunk, who), daemon=True)
            calls[who].start()
        trunk.log.clear()
        stop.wait(random.uniform(2, 12))
    for thread in calls.values():
        thread.join(2)


def main(host, port, trunk_address, passwords):
    signal.signal(signal.SIGTERM, lambda *a: stop.set())
    signal.signal(signal.SIGINT, lambda *a: stop.set())
    server = (host, int(port))
    with open(passwords) as f:
        for line in f:
            user, password = line.split()
            Phone(server, user, password)
    trunk = Ua("trunk", server, ip=trunk_address, port=5070, user="customer", ladder=Quiet())
    print("calling", flush=True)
    keep_calling(trunk)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
