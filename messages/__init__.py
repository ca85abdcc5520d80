"""What is said: envelopes, keys of links and sessions, typed payloads. No process, no socket, no clock, no pykka.

May import: the standard library's pure parts, `cryptography`, `msgspec`. Imports nothing else of ours.
Invariant: everything here is a function of values; secrets enter and leave as arguments only.
"""
