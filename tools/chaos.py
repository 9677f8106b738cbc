"""Try many random histories of a farm against its naive model (tests/manager/test_manager_histories.py).

They are tried in rounds, each with a seed of its own, so that a round that fails can be tried again alone.
"""

import argparse
import secrets
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUND = 250
"""Histories of one round."""


def main() -> int:
    """Run the rounds; tells how it went by the exit status."""
    asked = _arguments()
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "manager")]
    from test_manager_histories import Histories, run_histories

    first = asked.seed if asked.seed is not None else secrets.randbelow(10**9)
    print(f"{asked.histories} histories of {asked.steps} steps, seed {first}", flush=True)
    began, tried = time.monotonic(), 0
    while tried < asked.histories:
        seed, count = first + tried // ROUND, min(ROUND, asked.histories - tried)
        try:
            run_histories(count, asked.steps, seed)
        except BaseException:
            print(f"Wrong. Once more: make chaos SEED={seed} HISTORIES={count} STEPS={asked.steps}", flush=True)
            raise
        tried += count
        print(f"{tried} histories, {time.monotonic() - began:.0f} s", flush=True)
    print("What happened in them:")
    for what, times in sorted(Histories.tally.items()):
        print(f"{times:12,}  {what}")
    print(f"{tried} histories of {asked.steps} steps, seed {first}: the farm did as its model in all of them.")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same histories")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
