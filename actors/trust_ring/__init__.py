"""The trust ring: who may be in it, and its life from forming to dismantled.

May import: our messages and actors. Invariant: its life is one total table; what is not in the table is an error.
"""
