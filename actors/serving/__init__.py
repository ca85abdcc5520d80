"""The serving end: what an enclave or a host does with calls, from its mailbox to the reply.

May import: our messages and actors. Invariant: a call is authenticated, then claimed, then judged, then run.
"""
