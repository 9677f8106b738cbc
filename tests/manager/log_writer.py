"""A process that writes a log which is too long, and says how far it came; to be killed at any moment.

``python log_writer.py FOLDER SEED``. Prints the end of each piece once it is in its place.
"""

import random
import sys
from pathlib import Path

from flamenco_manager.log_extent import NOTE_BYTES, LogLimits
from flamenco_manager.log_file import LogFile

LIMITS = LogLimits(NOTE_BYTES + 50_000, 10_000)
LENGTH = 400_000


def text_at(start: int, stop: int) -> bytes:
    """The log's own bytes: every line is the number of its first byte."""
    lines = b"".join(b"%015d\n" % at for at in range(start // 16 * 16, stop + 16, 16))
    return lines[start % 16 :][: stop - start]


def main() -> None:
    chance = random.Random(int(sys.argv[2]))
    file = LogFile(Path(sys.argv[1]) / "job" / "task.1.log", LIMITS)
    at = 0
    while at < LENGTH:
        length = chance.randrange(1, 9000)
        file.place(text_at(at, at + length), at)
        at += length
        print(at, flush=True)


if __name__ == "__main__":
    main()
