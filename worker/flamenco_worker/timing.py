"""How often a Worker does what, in seconds (``worker-api.md``, 9.1 and 15.3). Tests bring shorter ones."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The pauses of a Worker. Those that begin with ``poll`` are for Managers that do not hold answers back."""

    wait_s: int = 30
    """How long a Manager that can may hold an answer back."""
    poll_task_s: float = 20.0
    """Between asking for tasks, when there are none."""
    poll_state_s: float = 3.0
    """Between asking for the state, asleep."""
    poll_may_i_run_s: float = 10.0
    """Between asking whether the task may go on."""
    first_retry_s: float = 0.5
    """After a call that failed; the pause doubles with each failure in a row."""
    longest_retry_s: float = 10.0
    """The longest pause between tries."""
    keep_waiting_s: float = 30.0
    """How long tasks wait behind the one that runs, before others may have them."""
    least_gap_s: float = 0.2
    """Between two long polls that were answered at once, so that a confused Manager is not flooded."""
    flush_s: float = 5.0
    """How long a stopping Worker tries to deliver what it still has."""
    sign_off_s: float = 3.0
    """How long it tries to sign off."""
    log_flush_s: float = 2.0
    """How long log lines are gathered before they are sent."""
    frame_flush_s: float = 0.2
    """How long frames and steps are gathered."""

    @staticmethod
    def jittered(seconds: float) -> float:
        """Return about so many seconds (±10 %), so that Workers do not march in step."""
        return seconds * random.uniform(0.9, 1.1)  # noqa: S311 (spreads load, hides nothing)
