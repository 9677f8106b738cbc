"""Keeping Python's garbage collector away from what stays for long.

A full collection looks at every object there is. With a hundred thousand tasks in memory that takes a tenth of a
second, about once a second, and everybody waits. Objects that are *kept* are passed over; they still go as soon as
nothing refers to them, so whoever keeps objects in a ring must open it (Python's manual, ``gc.freeze``).
"""

import gc


def keep() -> None:
    """Let collections pass over all objects that there are now. Costs next to nothing."""
    gc.freeze()


def sort_out() -> None:
    """Look at all objects once, and keep what is no garbage; takes a tenth of a second with 100,000 tasks in memory."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
