"""Everything that the page is made of, read from this package once, when the Server starts.

Nothing is read from disk while requests are served: so no request blocks the event loop, and no path from a request
ever meets the file system.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import DictLoader, Environment, StrictUndefined

from flamenco_server.web import words

_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file under ``/static/``; ``etag`` changes with its contents."""

    body: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Site:
    """The templates, ready to render, and the static files by their path below ``/static/``."""

    templates: Environment
    assets: Mapping[str, Asset]


@cache
def load_site() -> Site:
    """Read and compile the page, once: it does not change while we run. Blocks: call it in a thread."""
    package = files("flamenco_server.web")
    sources = {name: entry.read_text(encoding="utf-8") for name, entry in _walk(package / "templates")}
    templates = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["words"] = words
    templates.policies["json.dumps_kwargs"] = {"sort_keys": False}
    for name in sources:
        templates.get_template(name)
    return Site(templates, {name: _asset(name, entry.read_bytes()) for name, entry in _walk(package / "static")})


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


def _asset(name: str, body: bytes) -> Asset:
    suffix = name[name.rfind(".") :]
    return Asset(body, _MEDIA_TYPES[suffix], hashlib.sha256(body).hexdigest()[:20])
