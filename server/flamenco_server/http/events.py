"""Live events, as server-sent events (WHATWG HTML, "Server-sent events")."""

from aiohttp import web
from marshmallow import RAISE, Schema

from flamenco_core.wire.schema import Uuid
from flamenco_server.http.parameters import query_of
from flamenco_server.live import LiveEvents


class EventsQuery(Schema):
    """Whose tasks and frames are wanted, too."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    job = Uuid(load_default=None)


_EVENTS_QUERY = EventsQuery()


def event_routes(live: LiveEvents) -> list[web.RouteDef]:
    """List the routes."""

    async def events(request: web.Request) -> web.StreamResponse:
        job = query_of(request, _EVENTS_QUERY)["job"]
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        async for event in live.stream(job, request.headers.get("Last-Event-ID")):
            await response.write(event)
        return response

    return [web.get("/api/v1/events", events, allow_head=False)]
