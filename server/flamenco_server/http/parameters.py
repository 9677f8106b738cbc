"""What stands in the URL of a request: ids and numbers of its path, and its query."""

from typing import Any

from aiohttp import web
from marshmallow import RAISE, Schema, fields, validate

from flamenco_core.errors import NotFound
from flamenco_core.identifiers import is_uuid
from flamenco_server.reading import LARGEST_PAGE, PAGE


class NoSuchThing(NotFound):
    """A path with something in it that cannot be the id of anything."""

    type = "not-found"


class PageQuery(Schema):
    """The query of a list: ``after`` is the cursor that came with the page before."""

    class Meta:
        """A misspelt key is refused: a filter that is ignored shows the wrong rows."""

        unknown = RAISE

    limit = fields.Integer(load_default=PAGE, validate=validate.Range(1, LARGEST_PAGE))
    after = fields.String(load_default=None, validate=validate.Regexp(r"[0-9]{1,18}\Z"))


def uuid_in_path(request: web.Request, name: str) -> str:
    """Return an id of the path, in lower case, so that it is safe in a path. Raises NoSuchThing if it is none."""
    text = request.match_info[name]
    if not is_uuid(text):
        raise NoSuchThing(f"{request.path} is not here: an id is a UUID.")
    return text.lower()


def number_in_path(request: web.Request, name: str) -> int:
    """Return a whole number of the path. Raises NoSuchThing."""
    text = request.match_info[name]
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise NoSuchThing(f"{request.path} is not here: {name} is a number.")
    return int(text)


def query_of(request: web.Request, schema: Schema) -> Any:
    """Read the query through a schema. Raises marshmallow's ValidationError, which becomes a 422."""
    return schema.load(dict(request.query))
