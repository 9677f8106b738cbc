"""The settings of a Manager."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from flamenco_core.errors import BadInput
from flamenco_core.wire.variables import Variables
from flamenco_manager.announcing import WAYS
from flamenco_manager.model import Policy
from flamenco_manager.newcomers import NewcomerLimits
from flamenco_manager.variables import read_variables
from flamenco_runtime.http_limits import HttpLimits
from flamenco_runtime.proxies import Network, read_proxies
from flamenco_runtime.settings import Address, check_bounds, setting

APPROVALS = ("token", "lan", "all")
LARGEST_LOG_MIB = 64
"""What the Server takes (quality.md 2.5)."""
LEAST_DAYS, MOST_DAYS = 0.01, 36_500
MOST_SECONDS, MOST_TIMES = 10**8, 10**6
"""The Server takes no more for the whole farm either."""
_SHOWN_VARIABLES = """\
[variables.render_out]
is_twoway = true
values = [
    {platform = "linux", value = "/mnt/render"},
    {platform = "windows", value = 'R:\\render'},
]"""


def _seconds(default: float, help_text: str) -> Any:
    return setting(default, help_text, least=0, most=MOST_SECONDS)


def _count(default: int, help_text: str) -> Any:
    return setting(default, help_text, least=1, most=MOST_TIMES)


def _days(default: float, help_text: str) -> Any:
    return setting(default, help_text, least=LEAST_DAYS, most=MOST_DAYS)


@dataclass(frozen=True)
class Settings:
    """What a Manager can be told: file, ``FLAMENCO_MANAGER_*``, command line."""

    server: str = setting("http://127.0.0.1:8000", "URL of the Server")
    data: Path = setting(
        user_data_path("flamenco") / "manager",
        "folder of everything that the Manager keeps; by default a folder of whoever runs it",
        shown='"~/.local/share/flamenco/manager"',
    )
    listen: Address = setting(Address("127.0.0.1", 8080), "where Workers find it, HOST:PORT")
    tls_certificate: Path | None = setting(
        None,
        "file of the certificate (PEM, with those between it and its authority); without, Workers speak plain HTTP",
        shown='"/etc/flamenco/manager.pem"',
    )
    tls_key: Path | None = setting(
        None, "file of its private key (PEM, without a password)", shown='"/etc/flamenco/manager-key.pem"'
    )
    server_ca: Path | None = setting(
        None,
        "file of the only certificate authority (PEM) that is trusted for the Server; without, the system's",
        shown='"/etc/flamenco/ca.pem"',
    )
    name: str = setting(
        platform.node() or "manager", "name that people see; by default this machine's", shown='"studio-north"'
    )
    token: str | None = setting(
        None,
        "token from `flamenco server add-manager`; kept in DATA/link.json after that",
        is_secret=True,
        shown='"what add-manager printed"',
    )
    registration_token: str | None = setting(
        None,
        "a Worker that brings this token needs no approval",
        is_secret=True,
        shown='"many letters that nobody guesses"',
    )
    metrics_token: str | None = setting(
        None,
        "whoever brings this token may read /metrics from elsewhere; without, only this machine",
        is_secret=True,
        shown='"many letters that nobody guesses"',
    )
    approve: str = setting(
        "token",
        "who needs no approval: token (this machine, or the registration token), lan (the local network, too) or all",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        (), "addresses or networks of proxies whose X-Forwarded-For is believed, with commas between", read=read_proxies
    )
    least_free_mib: int = setting(
        1024,
        "MiB that stay free on the disk of data: with less, new jobs wait, and no files and previews are taken; 0: no "
        "such floor",
        least=0,
    )
    connections_per_address: int = setting(
        1000, "connections that one address may hold; this machine, and proxies that are trusted, any number", least=1
    )
    requests_at_once: int = setting(
        4000,
        "calls of Workers that may be under way at a time, beside those that wait for news; more are told to come "
        "later",
        least=1,
    )
    body_mib_at_once: int = setting(
        256, "MiB that the bodies of those calls may hold in memory; more are told to come later", least=1
    )
    awaiting_workers: int = setting(
        1000, "Workers that may await approval; no new ones are taken in beside them", least=1
    )
    new_workers_per_hour: int = setting(
        256,
        "new Workers taken in from one address in an hour, but for those of this machine and with the token",
        least=1,
    )
    worker_timeout_s: float = _seconds(60.0, "seconds of silence until the task of a Worker is given to others")
    idle_worker_timeout_s: float = _seconds(180.0, "seconds of silence until a Worker without a task counts as gone")
    starting_worker_timeout_s: float = _seconds(180.0, "seconds of silence allowed until a Worker has begun its task")
    task_timeout_s: float = _seconds(600.0, "seconds without a word about a task until its attempt counts as failed")
    start_up_grace_s: float = _seconds(120.0, "seconds after the Manager's start in which nothing times out")
    failed_attempts: int = _count(3, "failed attempts until a task is failed")
    lost_attempts: int = _count(3, "attempts whose Worker disappeared until a task is failed")
    job_failed_tasks: int = _count(3, "a job fails when so many of its tasks failed ...")
    job_failed_percent: float = setting(10.0, "... and at least so many percent of them", least=0, most=100)
    discovery: str = setting("both", "how Workers find it in their network: mdns, ssdp (Flamenco 3's), both, or off")
    most_log_mib: int = setting(
        64,
        "MiB that the log of one attempt may have; of a longer one the middle is cut out",
        least=2,
        most=LARGEST_LOG_MIB,
    )
    keep_logs_days: float = _days(90.0, "days until the logs of a job that has ended are removed")
    keep_previews_days: float = _days(90.0, "days until the previews of a job that has ended are removed")
    keep_jobs_days: float | None = setting(
        None,
        "days until a job that has ended is removed here, with its files; it cannot be requeued any more then, nor can "
        "others that come later wait for it; without: for ever",
        least=LEAST_DAYS,
        most=MOST_DAYS,
        shown="365.0",
    )
    variables: Variables | None = setting(
        None,
        "what {name} stands for in commands: a table per name, with is_twoway and values; each value may name a "
        "platform (linux, windows, darwin) and an audience (workers, users)",
        read=read_variables,
        shown=_SHOWN_VARIABLES,
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be meant. Raises BadInput."""
        check_bounds(self)
        self._check_access()
        if not self.name.strip():
            raise BadInput("name is empty: write what people shall call this Manager.")
        if self.approve not in APPROVALS:
            raise BadInput(f"approve cannot be {self.approve!r}: write one of {', '.join(APPROVALS)}.")
        if self.discovery not in WAYS:
            raise BadInput(f"discovery cannot be {self.discovery!r}: write one of {', '.join(WAYS)}.")
        if not self.server.startswith(("http://", "https://")):
            raise BadInput(f"server cannot be {self.server!r}: write its URL, for example http://127.0.0.1:8000.")

    def _check_access(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            missing = "tls_certificate" if self.tls_certificate is None else "tls_key"
            raise BadInput(f"{missing} is missing: TLS needs tls_certificate and tls_key.")
        for key in ("token", "registration_token", "metrics_token"):
            if getattr(self, key) is not None and not getattr(self, key).strip():
                raise BadInput(f"{key} is empty: write a token, or leave it out.")

    @property
    def http_limits(self) -> HttpLimits:
        """What clients may hold and how long they may take."""
        return HttpLimits(connections_per_address=self.connections_per_address)

    @property
    def newcomer_limits(self) -> NewcomerLimits:
        """How many new Workers are taken in."""
        return NewcomerLimits(self.awaiting_workers, self.new_workers_per_hour)

    @property
    def policy(self) -> Policy:
        """The farm's rules among the settings."""
        return Policy(
            worker_timeout_s=self.worker_timeout_s,
            idle_worker_timeout_s=self.idle_worker_timeout_s,
            starting_worker_timeout_s=self.starting_worker_timeout_s,
            task_timeout_s=self.task_timeout_s,
            start_up_grace_s=self.start_up_grace_s,
            failed_attempts=self.failed_attempts,
            lost_attempts=self.lost_attempts,
            job_failed_tasks=self.job_failed_tasks,
            job_failed_share=self.job_failed_percent / 100,
        )
