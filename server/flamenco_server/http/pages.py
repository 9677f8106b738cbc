"""The web page: every view is a URL, rendered here whole; scripts only keep it fresh (``ux.md``, "Web")."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from flamenco_core.errors import BadInput, FlamencoError, NotFound
from flamenco_core.statuses import JobStatus
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.problems import status_of
from flamenco_server.http.job_page import JobReads, cursor, job_view
from flamenco_server.web import blanks, words
from flamenco_server.web.site import Site

ROWS = 100
"""How many rows a list shows at a time."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""On every page: only our own scripts, styles and pictures, none of them inline (``quality.md``, "XSS")."""

LINK_PAGE = "/link"
"""Where people come who were sent there by what a Manager shows."""

THEMES = ("dark", "light", "system")
THEME_COOKIE = "flamenco_theme"

FILTERS = (
    ("", "All"),
    ("active", "Running"),
    ("queued", "Waiting"),
    ("completed", "Done"),
    ("failed", "Failed"),
    ("canceled", "Canceled"),
)

SHORTCUTS = (
    (("/",), "find in the list"),
    (("g", "j"), "go to Jobs"),
    (("g", "w"), "go to Workers"),
    (("j", "k"), "next, previous (arrows too)"),
    (("Enter",), "open"),
    (("Esc",), "back"),
    (("c",), "cancel the job"),
    (("f",), "frames"),
    (("t",), "tasks"),
    (("l",), "log"),
    (("Space",), "play the flipbook"),
    ((",", "."), "previous, next frame"),
    (("?",), "this help"),
)


class PageReads(JobReads, Protocol):
    """What the page reads of the farm: documents of the public API."""

    async def jobs(self, limit: int, after: str | None, status: JobStatus | None) -> Mapping[str, Any]:
        """Return ``{"jobs": [...], "next": cursor or None}``, newest first."""

    async def managers(self) -> Mapping[str, Any]:
        """Return ``{"managers": [...]}``."""


Visitor = Callable[[web.Request], Awaitable[str | None]]
"""Tells the name of the person whose session a request carries, None without one."""

View = Callable[[web.Request], Awaitable[tuple[str, Mapping[str, Any]]]]
"""Answers a request with a template and what it shows."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Renders views for signed-in visitors, and says to all others how to sign in."""

    site: Site
    visitor: Visitor
    clock: Clock

    def handler(self, view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Make a request handler of a view; its errors become pages too."""

        async def handle(request: web.Request) -> web.Response:
            name = await self.visitor(request)
            if name is None:
                asked: dict[str, Any] = {
                    "visitor": None,
                    "origin": str(request.url.origin()),
                    "link_used": request.query.get("link") == "used",
                    "come_back": request.path if request.path == LINK_PAGE else "",
                }
                return self._page(request, "sign_in.html", asked, 401)
            try:
                template, shown = await view(request)
            except FlamencoError as error:
                return self._page(request, "error.html", {"visitor": name, **_explained(error)}, status_of(error))
            return self._page(request, template, {"visitor": name, **shown}, 200)

        return handle

    def _page(self, request: web.Request, template: str, shown: Mapping[str, Any], status: int) -> web.Response:
        theme = request.cookies.get(THEME_COOKIE, "")
        everywhere = {
            "section": "",
            "theme": theme if theme in THEMES else THEMES[0],
            "now": self.clock(),
            "shortcuts": SHORTCUTS,
            "looks": {"job": _looks(words.LOOKS), "worker": _looks(words.WORKER_LOOKS)},
        }
        text = self.site.templates.get_template(template).render({**everywhere, **shown})
        response = web.Response(text=text, content_type="text/html", status=status, headers=SECURITY_HEADERS)
        response.headers["Cache-Control"] = "no-store"
        response.enable_compression()
        return response


def page_routes(reads: PageReads, visitor: Visitor, site: Site, clock: Clock = utc_now) -> list[web.RouteDef]:
    """List the routes of the page and of the files that it is made of."""
    pages = Pages(site, visitor, clock)

    async def jobs(request: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "jobs.html", await _jobs_view(reads, request.query)

    async def job(request: web.Request) -> tuple[str, Mapping[str, Any]]:
        job_id, tab = request.match_info["job_id"], request.match_info.get("tab")
        return "job.html", await job_view(reads, job_id, tab, request.query)

    async def workers(_: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "workers.html", await _workers_view(reads)

    async def link(_: web.Request) -> tuple[str, Mapping[str, Any]]:
        return "link.html", {"section": "workers"}

    return [
        web.get("/", pages.handler(jobs)),
        web.get("/jobs", pages.handler(jobs)),
        web.get("/jobs/{job_id}", pages.handler(job)),
        web.get("/jobs/{job_id}/{tab}", pages.handler(job)),
        web.get("/workers", pages.handler(workers)),
        web.get(LINK_PAGE, pages.handler(link)),
        web.get("/static/{name:.+}", _static_handler(site)),
    ]


async def _jobs_view(reads: PageReads, query: Mapping[str, str]) -> Mapping[str, Any]:
    status, after, find = query.get("status") or None, cursor(query.get("after")), query.get("find", "").strip()
    page = await reads.jobs(ROWS, after, _status(status))
    jobs = [job for job in page["jobs"] if find.casefold() in job["name"].casefold()]
    return {
        "section": "jobs",
        "jobs": jobs,
        "next": page["next"],
        "status": status,
        "after": after,
        "find": find,
        "filters": FILTERS,
        "blank": blanks.JOB,
        "workers": len((await reads.workers())["workers"]),
    }


async def _workers_view(reads: PageReads) -> Mapping[str, Any]:
    return {
        "section": "workers",
        "workers": (await reads.workers())["workers"],
        "managers": (await reads.managers())["managers"],
        "blank": blanks.WORKER,
        "blank_manager": blanks.MANAGER,
    }


def _status(text: str | None) -> JobStatus | None:
    if text is None:
        return None
    try:
        return JobStatus(text)
    except ValueError as error:
        raise BadInput(f"No job can have the status {text!r}.") from error


def _looks(looks: Mapping[str, words.Look]) -> Mapping[str, Mapping[str, str]]:
    return {name: {"word": look.word, "shape": look.shape, "tone": look.tone} for name, look in looks.items()}


def _explained(error: FlamencoError) -> Mapping[str, str]:
    """Say of an error what happened and what to do, as a page of its own."""
    if isinstance(error, NotFound):
        advice = "It may have been deleted, or the address was cut short."
        return {"title": "Not found", "message": str(error), "advice": advice}
    return {"title": "That did not work", "message": str(error), "advice": "Go back and try again."}


def _static_handler(site: Site) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Serve what was read at the start; browsers ask each time whether it changed."""

    async def asset(request: web.Request) -> web.Response:
        found = site.assets.get(request.match_info["name"])
        if found is None:
            raise NotFound(f"The page has no file {request.match_info['name']!r}.")
        response = web.Response(body=found.body, content_type=found.media_type, headers=SECURITY_HEADERS)
        response.etag = found.etag
        response.headers["Cache-Control"] = "no-cache"
        if any(tag.value == found.etag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=response.headers)
        response.enable_compression()
        return response

    return asset
