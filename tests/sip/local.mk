# tests/sip
