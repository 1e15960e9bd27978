"""wire: when SIP messages passed on the loopback interface, by the kernel's own time stamps: whoever
sends or receives them may be late, the stamps are not. Needs the right to capture (CAP_NET_RAW)."""
import ctypes
import re
import socket
import struct
import threading

ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
PACKET_HOST = 0
# IPv4 and UDP; all of it. The event streams of a thousand listeners never leave the kernel.
FILTER = [(0x28, 0, 0, 12), (0x15, 0, 3, 0x0800), (0x30, 0, 0, 23), (0x15, 0, 1, 17),
          (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0)]
CALL_ID = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.M | re.I)
CSEQ = re.compile(rb"^CSeq[ \t]*:[ \t]*\d+[ \t]+(\w+)", re.M | re.I)


def _open():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    code = b"".join(struct.pack("HBBI", *line) for line in FILTER)
    text = ctypes.create_string_buffer(code)
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                 struct.pack("HL", len(FILTER), ctypes.addressof(text)))
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    s.bind(("lo", 0))
    s.settimeout(0.5)
    return s


class Wire(threading.Thread):
    """Of the calls through segued's port: setup, from the caller's INVITE to the 200 it gets, and
    passed, what segued itself took to pass on an INVITE and a 200; in seconds."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.sock, self.ended = port, _open(), threading.Event()
        self.setup, self.passed = [], []
        self.began, self.waiting, self.known = {}, {"INVITE": [], "200": []}, set()

    def run(self):
        while not self.ended.is_set():
            try:
                data, extra, _, (_, _, kind, *_) = self.sock.recvmsg(1 << 16, 64)
            except TimeoutError:
                continue
            if kind != PACKET_HOST or len(data) < 42:  # each packet of lo is seen twice
                continue
            stamp = next(d for level, what, d in extra if what == SO_TIMESTAMPNS)
            sec, ns = struct.unpack("qq", stamp[:16])
            at = 14 + (data[14] & 15) * 4
            source, target = struct.unpack("!HH", data[at:at + 4])
            self.see(sec + ns / 1e9, source, target, data[at + 8:])
        self.sock.close()

    def see(self, now, source, target, sip):
        id, cseq = CALL_ID.search(sip), CSEQ.search(sip)
        what = "INVITE" if sip.startswith(b"INVITE ") else "200" if sip.startswith(b"SIP/2.0 200 ") \
            and cseq and cseq[1] == b"INVITE" else None
        if what is None or id is None or (what, target, id[1]) in self.known:
            return
        self.known.add((what, target, id[1]))  # what comes again is no new one
        if target == self.port:
            self.waiting[what].append(now)
            if what == "INVITE":
                self.began.setdefault(id[1], now)
        elif source == self.port:
            if self.waiting[what]:  # they are passed on in the order in which they come
                self.passed.append(now - self.waiting[what].pop(0))
            if what == "200" and id[1] in self.began:
                self.setup.append(now - self.began.pop(id[1]))
