"""What every process of ours is made of: the channel that it inherits, its link, its loop, how it tells of failures.

May import: our messages and actors. Invariant: no module here knows what a process is for.
"""
