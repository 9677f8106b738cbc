"""What belongs to the whole farm: its tags and its settings."""

from aiohttp import web
from marshmallow import RAISE, Schema, fields, validate

from flamenco_core.wire.farm_settings import FarmSettings, FarmSettingsSchema
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply, read_json
from flamenco_server.documents import tag_document
from flamenco_server.events import EventBus
from flamenco_server.farm_settings import SettingsStore, put_farm_settings
from flamenco_server.http.job_requests import asker
from flamenco_server.http.parameters import query_of
from flamenco_server.records import Tag
from flamenco_server.tags import TagStore, delete_tag, put_tag


class TagSchema(Schema):
    """What a tag is for."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    description = fields.String(load_default="", validate=validate.Length(max=1000))


class DeleteQuery(Schema):
    """Whether a tag that is used goes, too."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    force = fields.Boolean(load_default=False)


class WantedSettingsSchema(FarmSettingsSchema):
    """All settings of the farm; what is absent is at its default."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE


_ONE_TAG = "/api/v1/tags/{name:[^/]+}"
"""Whatever stands there: by itself, aiohttp keeps braces out."""
_TAG = TagSchema()
_DELETE_QUERY = DeleteQuery()
_WANTED = WantedSettingsSchema()


def tag_routes(tags: TagStore, bus: EventBus, clock: Clock) -> list[web.RouteDef]:
    """List the routes of tags."""

    async def every(_: web.Request) -> web.Response:
        return json_reply({"tags": [tag_document(tag) for tag in await tags.tags()]})

    async def put(request: web.Request) -> web.Response:
        wanted = await read_json(request, _TAG)
        tag = Tag(request.match_info["name"], wanted["description"])
        return json_reply(tag_document(await put_tag(tags, bus, tag, asker(request, clock))))

    async def delete(request: web.Request) -> web.Response:
        force = query_of(request, _DELETE_QUERY)["force"]
        await delete_tag(tags, bus, request.match_info["name"], asker(request, clock), force=force)
        return web.Response(status=204)

    return [
        web.get("/api/v1/tags", every),
        web.put(_ONE_TAG, put),
        web.delete(_ONE_TAG, delete),
    ]


def settings_routes(store: SettingsStore, bus: EventBus, clock: Clock) -> list[web.RouteDef]:
    """List the routes of the farm's settings."""

    async def get(_: web.Request) -> web.Response:
        return json_reply(_WANTED.dump(await store.farm_settings()))

    async def put(request: web.Request) -> web.Response:
        wanted: FarmSettings = await read_json(request, _WANTED)
        await put_farm_settings(store, bus, wanted, asker(request, clock))
        return json_reply(_WANTED.dump(wanted))

    return [web.get("/api/v1/settings/farm", get), web.put("/api/v1/settings/farm", put)]
