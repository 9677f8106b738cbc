"""The Manager that is judged, and what it answers."""

import base64
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import aiohttp
import orjson

from flamenco_cli.terminal import harmless
from flamenco_runtime.http_client import Unreachable, reason_of

API = "/api/v3/"
PATIENCE_S = 30.0
"""How long a Manager may take to answer; a Flamenco 3 Worker waits for ever, and does nothing meanwhile."""
MOST_SHOWN = 120
"""How much of an answer is quoted, in characters."""
JSON_TYPE = "application/json"


class Differs(Exception):
    """The Manager did not answer as the protocol says; the message tells what came."""


@dataclass(frozen=True)
class Answer:
    """One answer: ``asked`` is what it answers, in a few words; ``judged`` lists those that a check looked at."""

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    judged: list["Answer"] = field(repr=False, compare=False)

    def must_be(self, *statuses: int) -> "Answer":
        """Expect one of these statuses; returns itself. Raises Differs."""
        self.judged.append(self)
        if self.status not in statuses:
            raise self.differs()
        return self

    def must_be_empty(self) -> "Answer":
        """Expect no body, and no JSON content type either. Raises Differs."""
        if self.body:
            raise self.differs("with a body")
        if self.is_json:
            raise self.differs(f"without a body but with Content-Type {self.headers['Content-Type']}")
        return self

    def document(self) -> Any:
        """Return the JSON body. Raises Differs when it is none, or is not said to be."""
        if not self.is_json:
            raise self.differs(f"with Content-Type {self.headers.get('Content-Type', 'missing')!r}")
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise self.differs("with a body that is not JSON") from error

    def members(self) -> dict[str, Any]:
        """Return the JSON body, which must be an object. Raises Differs."""
        document = self.document()
        if not isinstance(document, dict):
            raise self.differs("with JSON that is no object")
        return document

    def must_have(self, **expected: object) -> dict[str, Any]:
        """Expect these members; a type stands for any value of that type. Returns the object. Raises Differs."""
        members = self.members()
        for name, wanted in expected.items():
            if name not in members:
                raise self.differs(f"without {name!r}")
            if not _fits(members[name], wanted):
                raise self.differs(f"with {name} = {members[name]!r}")
        return members

    @property
    def is_json(self) -> bool:
        """The content type is one that the Go client takes for JSON."""
        return "json" in self.headers.get("Content-Type", "")

    @property
    def short(self) -> str:
        """Status and the beginning of the body."""
        text = self.body[: 4 * MOST_SHOWN].decode("utf-8", "replace").strip()
        if not text.isprintable():
            text = harmless(text)
        cut = text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"
        return f"{self.status} {cut}".strip()

    def differs(self, why: str = "") -> Differs:
        """Make the error that says that this is not what was expected."""
        return Differs(f"{self.asked}: {' '.join(filter(None, (self.short, why and f'({why})')))}")


class Peer:
    """The Manager that is judged. Made by ``open_peer``."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = http
        self.judged: list[Answer] = []

    def what_came(self) -> str:
        """Write the statuses that were judged, as ``403 ×6, 200``; of a single answer, its body too."""
        if len(self.judged) == 1:
            return self.judged[0].short
        runs = [(status, sum(1 for _ in run)) for status, run in groupby(answer.status for answer in self.judged)]
        return ", ".join(f"{status} ×{times}" if times > 1 else str(status) for status, times in runs)

    async def call(
        self,
        method: str,
        path: str,
        *,
        document: object = None,
        data: bytes | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        what: str = "",
    ) -> Answer:
        """Make one call below ``/api/v3/``, or at ``path`` if that begins with a slash.

        ``document`` is sent as JSON; ``data`` as it is, with no content type unless one is given. Raises Differs when
        no answer comes, Unreachable when nobody listens.
        """
        if document is not None:
            data, content_type = orjson.dumps(document), JSON_TYPE
        sent = dict(headers or {}) | ({"Content-Type": content_type} if content_type else {})
        url = self.url + (path if path.startswith("/") else API + path)
        asked = what or f"{method} {path}"
        try:
            async with self._http.request(
                method,
                url,
                data=io.BytesIO(data) if data else data,
                headers=sent,
                skip_auto_headers=("Content-Type",),
                allow_redirects=False,
            ) as response:
                return Answer(asked, response.status, response.headers, await response.read(), self.judged)
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"Cannot reach {self.url}: {reason_of(error)}.") from error
        except TimeoutError as error:
            raise Differs(f"{asked}: no answer within {PATIENCE_S:g} seconds") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Differs(f"{asked}: no answer, {reason_of(error)}") from error


@asynccontextmanager
async def open_peer(url: str) -> AsyncIterator[Peer]:
    """Open connections to a Manager."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        yield Peer(http, url)


def basic(name: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def _fits(value: object, wanted: object) -> bool:
    if isinstance(wanted, type):
        return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
