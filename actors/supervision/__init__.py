"""Restarts what is not bound to the ring, hosts and extensions, as OTP does: strategies, types, intensity, escalation.

May import: our messages and actors. Invariant: the decisions are functions of values; who carries them out is the
supervisor.
"""
