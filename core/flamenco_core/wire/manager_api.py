"""Records between Manager and Server, ``/api/v1/manager/…`` (``manager-api.md``).

What jobs are (``definitions``) and what is told of them (``reports``) can be had from here, too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from flamenco_core.wire.definitions import (
    COMMANDS_MEDIA_TYPE,
    JobDefinition,
    JobDefinitionSchema,
    JobFile,
    JobFileSchema,
    NeededJob,
    NeededJobSchema,
    Needs,
    TaskDefinition,
    TaskDefinitionSchema,
)
from flamenco_core.wire.reports import (
    DAYS,
    Block,
    BlockSchema,
    FailedAttempt,
    FailedAttemptSchema,
    FrameReport,
    FrameReportSchema,
    JobReport,
    JobReportSchema,
    OrderResult,
    OrderResultSchema,
    Report,
    ReportAcknowledged,
    ReportAcknowledgedSchema,
    ReportSchema,
    Rev,
    RevField,
    SleepSchedule,
    SleepScheduleSchema,
    SleepWindow,
    SleepWindowSchema,
    TaskReport,
    TaskReportSchema,
    WorkerReport,
    WorkerReportSchema,
    WorkerState,
    WorkerStateSchema,
)
from flamenco_core.wire.schema import Boolean, Integer, Sha256, Timestamp, Uuid, WireSchema

__all__ = [
    "COMMANDS_MEDIA_TYPE",
    "DAYS",
    "MANAGER_FEED",
    "NO_DIGEST",
    "SERVER_FEED",
    "Block",
    "BlockSchema",
    "FailedAttempt",
    "FailedAttemptSchema",
    "FrameReport",
    "FrameReportSchema",
    "Hello",
    "HelloReply",
    "HelloReplySchema",
    "HelloSchema",
    "JobDefinition",
    "JobDefinitionSchema",
    "JobFile",
    "JobFileSchema",
    "JobReport",
    "JobReportSchema",
    "NeededJob",
    "NeededJobSchema",
    "Needs",
    "Order",
    "OrderResult",
    "OrderResultSchema",
    "OrderSchema",
    "Orders",
    "OrdersSchema",
    "Report",
    "ReportAcknowledged",
    "ReportAcknowledgedSchema",
    "ReportSchema",
    "Rev",
    "RevField",
    "SleepSchedule",
    "SleepScheduleSchema",
    "SleepWindow",
    "SleepWindowSchema",
    "TaskDefinition",
    "TaskDefinitionSchema",
    "TaskReport",
    "TaskReportSchema",
    "WorkerReport",
    "WorkerReportSchema",
    "WorkerState",
    "WorkerStateSchema",
    "order_digest",
]

MANAGER_FEED = "Flamenco-Manager-Feed"
"""Header: the feed of the Manager's store, on every call."""
SERVER_FEED = "Flamenco-Server-Feed"
"""Header: the feed of the Server's store as the Manager knows it, on every call but ``hello``."""

NO_DIGEST = "0" * 64
"""The digest of what came before the first report, or before the first order."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A Manager says who it is and how far it has come. ``server_feed`` is None before the first hello."""

    name: str
    software: str
    platform: str
    feed: str
    server_feed: str | None = None
    capabilities: Sequence[str] = ()
    jobs_folder: str = ""
    last_order: int = 0
    last_order_digest: str = NO_DIGEST
    first_report: int = 1
    previous_report_digest: str = NO_DIGEST


class HelloSchema(WireSchema):
    record = Hello
    name = fields.String(required=True, validate=validate.Length(1, 200))
    software = fields.String(required=True, validate=validate.Length(max=200))
    platform = fields.String(required=True, validate=validate.Length(max=200))
    feed = Uuid(required=True)
    server_feed = Uuid(allow_none=True)
    capabilities = fields.List(fields.String())
    jobs_folder = fields.String()
    last_order = Integer(validate=validate.Range(min=0))
    last_order_digest = Sha256()
    first_report = Integer(validate=validate.Range(min=1))
    previous_report_digest = Sha256()


@dataclass(frozen=True, slots=True)
class HelloReply:
    """The Server's side of it.

    ``next_order``: the number of the first order that the Manager has not applied;
    ``next_report``: the report that the Server expects next; ``resync``: the two do not fit, and must begin anew.
    """

    manager: str
    feed: str
    next_order: int
    next_report: int
    resync: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


class HelloReplySchema(WireSchema):
    record = HelloReply
    manager = Uuid(required=True)
    feed = Uuid(required=True)
    next_order = Integer(required=True)
    next_report = Integer(required=True)
    resync = Boolean()
    settings = fields.Dict(keys=fields.String())


@dataclass(frozen=True, slots=True)
class Order:
    """Something that the Server wants of a Manager.

    ``order`` is its number for this Manager, ``id`` tells it apart for ever. ``details`` are those of its ``kind``;
    jobs, tasks and Workers are named by their ids:

    - ``job.submit``, ``job.cancel``, ``job.pause``, ``job.resume``, ``job.delete``, ``job.undelete``, ``job.erase``:
      ``job``;
    - ``job.requeue``: ``job``; ``which``: ``all``, ``not-completed``, ``failed`` or ``chosen``; for ``chosen``
      ``tasks``; ``rev`` where the person saw one: what was requeued since is left alone;
    - ``job.priority``: ``job``, ``priority`` (0 to 100); ``job.tag``: ``job``, ``tag`` (a name, or null for none);
    - ``task.cancel``, ``task.pause``: ``task``; ``task.requeue``: ``task``, maybe ``rev``;
    - ``task.log``: ``task``, ``attempt``, ``seconds``; ``task.why``: ``task``, answered in the order's result;
    - ``worker.status``: ``worker``, ``status`` (``awake``, ``asleep``, ``offline``, ``restart``), ``lazy`` (true: after
      the current task); ``worker.tags``: ``worker``, ``tags``; ``worker.schedule``: ``worker``, ``schedule`` (a
      ``SleepSchedule``, or null for none); ``worker.approve``, ``worker.forget``: ``worker``; ``worker.unblock``:
      ``worker``, maybe ``job`` and ``task_type`` (absent: of every one);
    - ``tag.put``: ``name``, ``description``; ``tag.delete``: ``name``;
    - ``settings``: those of the farm that have changed, as in ``HelloReply``.
    """

    order: int
    id: str
    kind: str
    details: Mapping[str, Any]
    asked_by: str
    asked_at: datetime
    expires: datetime | None = None


class OrderSchema(WireSchema):
    record = Order
    order = Integer(required=True, validate=validate.Range(min=1))
    id = Uuid(required=True)
    kind = fields.String(required=True)
    details = fields.Dict(keys=fields.String(), required=True)
    asked_by = fields.String(required=True)
    asked_at = Timestamp(required=True)
    expires = Timestamp(allow_none=True)


def order_digest(previous: str, order: Order) -> str:
    """Return the digest of an order and of all before it, whose digest is ``previous`` (at first ``NO_DIGEST``).

    SHA-256 of ``previous`` and the order as JSON: keys sorted, no spaces, not escaped, UTF-8. Both sides keep it with
    the last order, so that a store that went back is noticed.
    """
    document = OrderSchema().dump(order)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((previous + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Orders:
    """The answer to ``GET orders``."""

    orders: Sequence[Order]


class OrdersSchema(WireSchema):
    record = Orders
    orders = fields.List(fields.Nested(OrderSchema), required=True)
