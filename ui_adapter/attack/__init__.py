"""The attack suite that `trollbridge attack` replays against an application, and our own tests against ours.

May import `actors` and `messages`. Nothing in here runs unless it is asked for by name.
"""
