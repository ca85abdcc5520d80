"""The supervisor: starts, watches and ends the processes of an application, and restarts them as OTP does.

May import: our messages and actors. Invariant: the decisions are functions of values; who carries them out is the
supervisor, which has no message key.
"""
