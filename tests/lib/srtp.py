"""srtp: voices that speak SRTP with keys in the description (RFC 4568), by libsrtp2 (Debian: libsrtp2-1).

    v = srtp.Srtp(TONES[0])           # as rtp.Rtp; sends under its own key, and reads what comes
    c = trunk.invite("2000", sdp=v.sdp())   # RTP/SAVP, a=crypto
    v.follow(c)                       # under the key of the newest description that c was given

Promise: what is not under that key is not heard.
"""
import base64
import ctypes
import os
import re

import rtp
import ua

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY_BYTES = 30   # master key and salt
TRAILER = 16     # room for the authentication tag
INBOUND, OUTBOUND = 2, 3


class Crypto(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int) for n in ("cipher", "key_len", "auth", "auth_key_len", "tag_len", "services")]


class Policy(ctypes.Structure):
    """srtp_policy_t of libsrtp 2.x."""
    _fields_ = [("ssrc_type", ctypes.c_int), ("ssrc", ctypes.c_uint), ("rtp", Crypto), ("rtcp", Crypto),
                ("key", ctypes.c_char_p), ("keys", ctypes.c_void_p), ("nkeys", ctypes.c_ulong),
                ("ekt", ctypes.c_void_p), ("window", ctypes.c_ulong), ("repeat", ctypes.c_int),
                ("headers", ctypes.c_void_p), ("nheaders", ctypes.c_int), ("next", ctypes.c_void_p)]


LIB = ctypes.CDLL("libsrtp2.so.1")
assert LIB.srtp_init() == 0


class Session:
    """One direction, under one key."""

    def __init__(self, key, direction):
        self.key = key   # the library does not copy it at once
        policy = Policy(ssrc_type=direction, key=key, window=1024, repeat=1)
        for c in (policy.rtp, policy.rtcp):
            LIB.srtp_crypto_policy_set_rtp_default(ctypes.byref(c))
        self.handle = ctypes.c_void_p()
        assert LIB.srtp_create(ctypes.byref(self.handle), ctypes.byref(policy)) == 0

    def run(self, what, packet):
        """The packet, protected or opened; None: it is not under this key."""
        buf = ctypes.create_string_buffer(packet, len(packet) + TRAILER)
        n = ctypes.c_int(len(packet))
        return buf.raw[:n.value] if what(self.handle, buf, ctypes.byref(n)) == 0 else None


def key_in(sdp):
    """The key that the other side sends under, as bytes."""
    found = re.search(rf"a=crypto:\d+ {SUITE} inline:([A-Za-z0-9+/=]+)", sdp.text)
    return base64.b64decode(found.group(1)) if found else None


class Secure(ua.Sdp):
    """A description of a stream that is spoken as SRTP."""

    def __init__(self, line, **kw):
        super().__init__(**kw)
        self.line = line

    def media(self):
        return [x.replace("RTP/AVP", "RTP/SAVP") for x in super().media()] + [self.line]


class Srtp(rtp.Rtp):
    def __init__(self, tone=None, ip="127.0.0.1"):
        self.own = os.urandom(KEY_BYTES)
        self.out, self.opened = Session(self.own, OUTBOUND), {}
        super().__init__(tone, ip)

    def sdp(self, audio=str(rtp.PCMU), **kw):
        line = f"a=crypto:1 {SUITE} inline:{base64.b64encode(self.own).decode()}"
        return Secure(port=self.port, ip=self.ip, audio=audio, line=line, **kw)

    def protect(self, packet):
        return self.out.run(LIB.srtp_protect, packet)

    def open(self, packet):
        call = self.call
        key = key_in(call.remote_sdp) if call is not None and call.remote_sdp else None
        if key is None:
            return None
        if key not in self.opened:
            self.opened[key] = Session(key, INBOUND)
        return self.opened[key].run(LIB.srtp_unprotect, packet)
