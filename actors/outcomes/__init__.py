"""What became of the calls that a process had when it ended: not started, done or unknown; and the quarantine.

May import: our messages and actors. Invariant: nobody is told that a call did not start unless it certainly did not.
"""
