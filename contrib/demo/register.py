#!/usr/bin/env python3
"""Registers the demo's phones: SIPp answers calls but knows only MD5, segue asks for SHA-256 first.

    PASSWORD=... register.py SERVER PORT USER LOCAL_PORT EXPIRES
"""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/lib"))

from ua import Ua


def main(server, port, user, local_port, expires):
    phone = Ua(user, (server, int(port)), port=int(local_port), password=os.environ["PASSWORD"])
    try:
        r = phone.register(expires=int(expires), ok=range(200, 700), timeout=20)
    except AssertionError:
        sys.exit(f"{user}: no answer to REGISTER from {server}:{port}")
    finally:
        phone.close()
    if r.status != 200:
        sys.exit(f"{user}: REGISTER was answered: {r.start}")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
