"""Clients that hold connections and say nothing. FLAMENCO_SLOW_CLIENTS: how many of each kind; a full run has 700."""

import os
from pathlib import Path

from slow_clients import withstand

CLIENTS = int(os.environ.get("FLAMENCO_SLOW_CLIENTS", "60"))


async def test_slow_clients_are_cut_off_and_a_worker_works_on_meanwhile(tmp_path: Path) -> None:
    held = await withstand(tmp_path, clients=CLIENTS)
    assert len(held) == 3
