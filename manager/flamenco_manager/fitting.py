"""Whether a Worker can take a kind of task: its type, tag, memory and GPU (jobs.md, "Who gets which task"). Pure."""

from enum import Enum

from flamenco_manager.model import Kind, Worker

ANY_GPU = "any"


class Lack(Enum):
    """What a Worker lacks for a kind of task."""

    TYPE = "type"
    TAG = "tag"
    MEMORY = "memory"
    GPU = "gpu"


def lack_of(worker: Worker, kind: Kind) -> Lack | None:
    """Tell the first thing that a Worker lacks for a kind of task; None: it can take it.

    What a Worker does not tell (those of Flamenco 3 say nothing about hardware) counts as lacking.
    """
    if kind.type not in worker.task_types:
        return Lack.TYPE
    if kind.tag is not None and kind.tag not in worker.tags:
        return Lack.TAG
    if kind.memory_bytes and (worker.hardware is None or worker.hardware.memory_bytes < kind.memory_bytes):
        return Lack.MEMORY
    if kind.gpu is not None and not _has_gpu(worker, kind.gpu):
        return Lack.GPU
    return None


def can_take(worker: Worker, kind: Kind) -> bool:
    """Tell whether a Worker lacks nothing for a kind of task; the answer is kept until the Worker changes."""
    if worker.fitness is None:
        worker.fitness = {}
    known = worker.fitness.get(kind)
    if known is None:
        known = worker.fitness[kind] = lack_of(worker, kind) is None
    return known


def _has_gpu(worker: Worker, wanted: str) -> bool:
    gpus = worker.hardware.gpus if worker.hardware is not None else ()
    return any(wanted == ANY_GPU or gpu.backend.casefold() == wanted.casefold() for gpu in gpus)
