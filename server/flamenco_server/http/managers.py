"""Managers, as people see them: list them, add one."""

from typing import Any

from aiohttp import web
from marshmallow import RAISE, Schema, fields, validate

from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply, read_json
from flamenco_server.events import Change, EventBus
from flamenco_server.http.access import signed_in_admin
from flamenco_server.managers import ManagerStore, add_manager
from flamenco_server.reading import FarmView

_NAME = r"[^\x00-\x1f\x7f]{1,200}\Z"


class ManagerName(fields.String):
    """A name that people see: a line."""

    def __init__(self, **kwargs: Any) -> None:
        rule = validate.Regexp(_NAME, error="must be a line of 1 to 200 characters.")
        super().__init__(validate=rule, **kwargs)


class NewManagerSchema(Schema):
    """A Manager that is to be linked."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    name = ManagerName(required=True)


_NEW_MANAGER = NewManagerSchema()


def manager_routes(view: FarmView, managers: ManagerStore, bus: EventBus, clock: Clock) -> list[web.RouteDef]:
    """List the routes."""

    async def every(_: web.Request) -> web.Response:
        return json_reply(await view.managers())

    async def add(request: web.Request) -> web.Response:
        signed_in_admin(request)
        wanted = await read_json(request, _NEW_MANAGER)
        manager = await add_manager(managers, wanted["name"], now=clock())
        bus.publish([Change("manager", manager.id)])
        return json_reply({"id": manager.id, "name": manager.name, "token": manager.token}, status=201)

    return [web.get("/api/v1/managers", every), web.post("/api/v1/managers", add)]
