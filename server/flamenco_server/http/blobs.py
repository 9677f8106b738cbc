"""File contents by SHA-256: people send them, Managers fetch them."""

from aiohttp import web
from aiohttp.typedefs import Handler
from marshmallow import RAISE, Schema, fields, validate

from flamenco_core.wire.schema import Integer, Sha256
from flamenco_runtime.json_body import MIB, json_reply, read_json
from flamenco_server.blobs import BlobStore

MOST_ASKED = 10_000
"""Blobs that one call may ask about."""
PIECE_BYTES = MIB
"""How much of an upload is taken at a time."""

FOREIGN_FILE = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": "attachment",
    "X-Content-Type-Options": "nosniff",
}
"""Headers that keep a browser from showing somebody's file as a page of ours."""


class _Asked(Schema):
    class Meta:
        unknown = RAISE

    sha256 = Sha256(required=True)
    size_bytes = Integer(validate=validate.Range(min=0))


class MissingQuestion(Schema):
    """Asks which of these are not here."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    blobs = fields.List(fields.Nested(_Asked), required=True, validate=validate.Length(max=MOST_ASKED))


_QUESTION = MissingQuestion()


def blob_routes(blobs: BlobStore) -> list[web.RouteDef]:
    """List the routes for people."""

    async def missing(request: web.Request) -> web.Response:
        question = await read_json(request, _QUESTION, limit_bytes=2 * MIB)
        asked = list(dict.fromkeys(blob["sha256"] for blob in question["blobs"]))
        sizes = await blobs.sizes(asked)
        return json_reply({"missing": [sha256 for sha256 in asked if sha256 not in sizes]})

    async def receive(request: web.Request) -> web.Response:
        sha256 = request.match_info["sha256"]
        is_new = await blobs.receive(sha256, request.content.iter_chunked(PIECE_BYTES))
        return json_reply({"sha256": sha256}, status=201 if is_new else 200)

    return [
        web.post("/api/v1/blobs/missing", missing),
        web.put("/api/v1/blobs/{sha256}", receive),
        web.get("/api/v1/blobs/{sha256}", _sender(blobs)),
    ]


def manager_blob_routes(blobs: BlobStore) -> list[web.RouteDef]:
    """List the routes for Managers."""
    return [web.get("/api/v1/manager/blobs/{sha256}", _sender(blobs))]


def _sender(blobs: BlobStore) -> Handler:
    async def send(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(await blobs.file(request.match_info["sha256"]), headers=FOREIGN_FILE)

    return send
