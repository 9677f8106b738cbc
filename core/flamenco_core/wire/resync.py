"""Records of a resync: how a Manager and its Server go on when a store was lost or restored (``manager-api.md``).

The Manager says what it has (``ResyncRequest``); both sides get new feeds (``ResyncReply``). Where the Manager's store
went back it then fetches what the Server knows, as lines of ``Known``, and takes over what is newer. After that it
reports all that it holds, as it reports everything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from marshmallow import fields, validate

from flamenco_core.wire.manager_api import Hello, HelloSchema
from flamenco_core.wire.reports import (
    JobReport,
    JobReportSchema,
    TaskReport,
    TaskReportSchema,
    WorkerReport,
    WorkerReportSchema,
)
from flamenco_core.wire.schema import Boolean, Integer, Sha256, Uuid, WireSchema

KEEP_ORDERS = timedelta(days=30)
"""For so long both sides keep orders: one that comes again is not done again, and what is not named is issued anew."""


@dataclass(frozen=True, slots=True)
class AppliedOrder:
    """An order that the Manager has applied, and what became of it; numbers of orders mean nothing any more."""

    id: str
    result: str
    why: str = ""
    answer: Mapping[str, Any] | None = None


class AppliedOrderSchema(WireSchema):
    record = AppliedOrder
    id = Uuid(required=True)
    result = fields.String(required=True, validate=validate.OneOf(["done", "dropped", "expired"]))
    why = fields.String()
    answer = fields.Dict(keys=fields.String(), allow_none=True)


@dataclass(frozen=True, slots=True)
class ResyncRequest:
    """What a Manager says when the two stores do not fit.

    ``hello``: how far it has come, as in a hello; ``next_report``: the number of the next report that it would make;
    ``feed``: that of its store from now on; ``epoch``: that of its ``rev``; ``highest_attempt`` of all its tasks;
    ``went_back``: it knows that its store was restored; ``applied``: the orders of the last 30 days; ``jobs``: all that
    it has.
    """

    hello: Hello
    next_report: int
    feed: str
    epoch: int
    highest_attempt: int
    went_back: bool = False
    applied: Sequence[AppliedOrder] = ()
    jobs: Sequence[str] = ()


class ResyncRequestSchema(WireSchema):
    record = ResyncRequest
    hello = fields.Nested(HelloSchema, required=True)
    next_report = Integer(required=True, validate=validate.Range(min=1))
    feed = Uuid(required=True)
    epoch = Integer(required=True, validate=validate.Range(min=1))
    highest_attempt = Integer(required=True, validate=validate.Range(min=0))
    went_back = Boolean()
    applied = fields.List(fields.Nested(AppliedOrderSchema))
    jobs = fields.List(Uuid())


@dataclass(frozen=True, slots=True)
class ResyncReply:
    """What holds from now on.

    ``feed``: that of the Server's store for this Manager; ``epoch`` and ``commit``: of the Manager's ``rev``, above all
    that there were; ``attempts_above``: whatever is handed out next has a higher attempt; ``last_order`` with its
    digest: the Manager's orders come after it; ``went_back``: what the Server knows must be fetched before anything
    else; ``erased``: of the Manager's jobs, those that people had erased; ``lost``: those that the Server does not
    know any more.
    """

    feed: str
    epoch: int
    commit: int
    attempts_above: int
    last_order: int
    last_order_digest: str
    went_back: bool
    erased: Sequence[str] = ()
    lost: Sequence[str] = ()


class ResyncReplySchema(WireSchema):
    record = ResyncReply
    feed = Uuid(required=True)
    epoch = Integer(required=True)
    commit = Integer(required=True)
    attempts_above = Integer(required=True)
    last_order = Integer(required=True)
    last_order_digest = Sha256(required=True)
    went_back = Boolean(required=True)
    erased = fields.List(Uuid())
    lost = fields.List(Uuid())


@dataclass(frozen=True, slots=True)
class Known:
    """Some of what the Server knows of a Manager's jobs, tasks and Workers, as they were reported last."""

    jobs: Sequence[JobReport] = field(default=())
    tasks: Sequence[TaskReport] = field(default=())
    workers: Sequence[WorkerReport] = field(default=())


class KnownSchema(WireSchema):
    record = Known
    jobs = fields.List(fields.Nested(JobReportSchema))
    tasks = fields.List(fields.Nested(TaskReportSchema))
    workers = fields.List(fields.Nested(WorkerReportSchema))
