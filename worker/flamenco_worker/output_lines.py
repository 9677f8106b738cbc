"""Running a program and reading its output line by line, whatever it prints, until it has ended or we end it."""

import asyncio
import codecs
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from flamenco_runtime.children import end_child, start_child
from flamenco_worker.failures import CommandFailed

LONGEST_LINE_CHARS = 40 * 1024
"""Longer lines are split: the limit of Flamenco 3's log."""
CHUNK_BYTES = 64 * 1024
CANCEL_GRACE_S = 0.4
"""How long a cancelled program may take after SIGTERM; a cancel is to reach it within a second."""
LAST_WORDS_S = 2.0
"""How long we read on after the program ended, when something that it started keeps its output open."""

TakeLines = Callable[[list[str]], Awaitable[None]]


async def run_program(arguments: Sequence[str], take: TakeLines) -> int:
    """Run a program until it ends, handing its output over, stdout and stderr together. Returns its exit status.

    The first line is the command line as a shell would take it; the others begin with the process id. When the caller
    is cancelled, the program and what it started are ended first. Raises CommandFailed when it cannot be started.
    """
    try:
        child = await start_child(arguments, output=asyncio.subprocess.PIPE, errors=asyncio.subprocess.STDOUT)
    except OSError as error:
        raise CommandFailed(f"Cannot start {arguments[0]}: {error.strerror}.") from error
    assert child.stdout is not None
    try:
        await take([f"pid={child.pid} runs: {shlex.join(arguments)}"])
        await _read_until_ended(child, child.stdout, take)
    finally:
        status = await asyncio.shield(end_child(child, grace_s=CANCEL_GRACE_S))
    return status


async def _read_until_ended(child: asyncio.subprocess.Process, output: asyncio.StreamReader, take: TakeLines) -> None:
    reading = asyncio.create_task(_hand_over(output, take))
    ending = asyncio.create_task(child.wait())
    try:
        await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait({reading}, timeout=LAST_WORDS_S)
        if reading.done():
            reading.result()
            await ending
    finally:
        for task in (reading, ending):
            task.cancel()
        await asyncio.gather(reading, ending, return_exceptions=True)


async def _hand_over(output: asyncio.StreamReader, take: TakeLines) -> None:
    async for lines in lines_of(output):
        await take(lines)


async def lines_of(stream: asyncio.StreamReader) -> AsyncIterator[list[str]]:
    """Yield the lines of each chunk that comes; a carriage return ends one too, what is not UTF-8 becomes �."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while chunk := await stream.read(CHUNK_BYTES):
        lines, rest = split_lines(rest + decoder.decode(chunk))
        if lines:
            yield lines
    rest += decoder.decode(b"", final=True)
    if rest:
        yield split_lines(rest + "\n")[0]


def split_lines(text: str) -> tuple[list[str], str]:
    """Split text into whole lines of at most LONGEST_LINE_CHARS, and the unfinished rest (shorter than that)."""
    *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [piece for line in whole for piece in _pieces(line)]
    while len(rest) >= LONGEST_LINE_CHARS:
        lines.append(rest[:LONGEST_LINE_CHARS])
        rest = rest[LONGEST_LINE_CHARS:]
    return lines, rest


def _pieces(line: str) -> list[str]:
    starts = range(0, max(len(line), 1), LONGEST_LINE_CHARS)
    return [line[start : start + LONGEST_LINE_CHARS] for start in starts]
