"""The broker: passes sealed envelopes between members, issues a fresh UID for every message, holds no session key.

May import: our messages and actors. Invariant: `routing` decides, without a socket or a clock; `process` has
the sockets.
"""
