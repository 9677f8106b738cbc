"""Running a program and reading its output line by line, whatever it prints, until it has ended or we end it."""

import asyncio
import codecs
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

from flamenco_runtime.children import end_child, foreign_environment, start_child
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

    The first line is the command line as a shell would take it. When the caller is cancelled, the program and what it
    started are ended first. Raises CommandFailed when it cannot be started.
    """
    async with _pipe() as (output, stop_reading, inlet):
        try:
            child = await start_child(
                arguments, environment=foreign_environment(os.environ), output=inlet, errors=inlet
            )
        except OSError as error:
            raise CommandFailed(f"Cannot start {arguments[0]}: {error.strerror}.") from error
        finally:
            os.close(inlet)  # the child has its own: once that is closed too, the output ends
        try:
            await take([f"pid={child.pid} runs: {shlex.join(arguments)}"])
            await _read_until_ended(child, _hand_over(output, take), stop_reading)
        finally:
            status = await asyncio.shield(end_child(child, grace_s=CANCEL_GRACE_S))
    return status


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, Callable[[], None], int]]:
    """Make a pipe: a stream to read from, how to end that stream, and the end to write to, which the caller closes.

    Not asyncio's own (``stdout=PIPE``): with that, Python 3.11 says that a child has ended only once nobody holds the
    pipe any more, also not what the child started.
    """
    outlet, inlet = os.pipe()
    output = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(outlet, "rb", buffering=0)
    )
    try:
        yield output, transport.close, inlet
    finally:
        transport.close()


async def _read_until_ended(
    child: asyncio.subprocess.Process, hand_over: Coroutine[None, None, None], stop_reading: Callable[[], None]
) -> None:
    """Read until the program has ended and its output too, or shortly after when others keep the output open."""
    reading = asyncio.create_task(hand_over)
    ending = asyncio.create_task(child.wait())
    try:
        await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            await asyncio.wait({reading}, timeout=LAST_WORDS_S)
            stop_reading()
        await reading
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
