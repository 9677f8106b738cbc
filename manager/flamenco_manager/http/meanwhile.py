"""What a Manager answers while its store is being read, compared with its Server's, or waits for room on its disk."""

from aiohttp import web

from flamenco_core.errors import FlamencoError, Unavailable
from flamenco_manager.http.health import Readiness, health_routes
from flamenco_manager.http.worker_errors import BY_WORKERS
from flamenco_runtime.problems import problems


class Starting(Unavailable):
    """The Manager reads its store."""

    type = "starting"

    def __init__(self) -> None:
        super().__init__("The Manager is starting: it reads its store. Try again in a moment.")


class BeginningAnew(Unavailable):
    """The Manager and its Server compare what they know."""

    type = "beginning-anew"

    def __init__(self) -> None:
        super().__init__("The Manager compares with its Server what both know, since a store was restored. Try again.")


class Meanwhile:
    """Answers everybody why not now. Workers are not answered: most would take an error for the end of their work."""

    def __init__(self) -> None:
        self.why: FlamencoError = Starting()

    def app(self) -> web.Application:
        """Make the application."""
        app = web.Application(middlewares=[problems])
        app.add_routes(health_routes(lambda: Readiness([str(self.why)])))
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith(BY_WORKERS) and request.transport is not None:
            request.transport.abort()
        raise self.why
