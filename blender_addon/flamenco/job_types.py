"""Job types as the Server describes them: which settings there are, and how each is shown."""

import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .problems import Problem

Value = str | int | float | bool
TYPES: dict[str, type] = {"string": str, "int32": int, "float": float, "bool": bool}
SHOWN_IN_BLENDER = ("visible", "submission")
LONGEST_KEY = 40
"""Blender allows 63 bytes for the identifier of a property; ours has a prefix."""


@dataclass(frozen=True)
class Setting:
    """One setting. ``eval`` is an expression that gives its value until the artist changes it.

    ``link_text`` says where such a value comes from ("The scene's frame range"), ``shows_link`` whether to say so.
    """

    key: str
    type: str
    label: str
    description: str = ""
    subtype: "str | None" = None
    choices: "tuple[Value, ...]" = ()
    propargs: Mapping[str, Any] = field(default_factory=dict)
    default: "Value | None" = None
    eval: "str | None" = None
    link_text: str = ""
    shows_link: bool = True
    visibility: str = "visible"
    required: bool = False
    editable: bool = True

    @property
    def is_shown(self) -> bool:
        """It has a row in the panel."""
        return self.visibility in SHOWN_IN_BLENDER


@dataclass(frozen=True)
class JobType:
    """A job type. ``etag`` changes whenever the type does; a submission names the one that it was made for."""

    name: str
    label: str
    description: str
    etag: str
    settings: "tuple[Setting, ...]"

    def setting(self, key: str) -> "Setting | None":
        """Return the setting with that key, or None."""
        return next((setting for setting in self.settings if setting.key == key), None)


def read_job_types(documents: "list[Mapping[str, Any]]") -> "tuple[JobType, ...]":
    """Read the Server's list of job types. Raises Problem for one that this add-on cannot show."""
    return tuple(_read_job_type(document) for document in documents)


def _read_job_type(document: Mapping[str, Any]) -> JobType:
    try:
        settings = tuple(_read_setting(item) for item in document["settings"])
        return JobType(
            name=document["name"],
            label=document.get("label") or document["name"],
            description=document.get("description") or "",
            etag=document["etag"],
            settings=settings,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(
            "The Server describes a job type in a way that this add-on does not understand. "
            "Install the add-on that belongs to this Server.",
            f"{error!r} in {document!r}",
        ) from error


def _read_setting(document: Mapping[str, Any]) -> Setting:
    key, kind = document["key"], document["type"]
    if not key.isidentifier() or keyword.iskeyword(key) or len(key) > LONGEST_KEY:
        raise ValueError(f"{key!r} cannot be the name of a setting")
    if kind not in TYPES:
        raise ValueError(f"{key} has the unknown type {kind!r}")
    propargs = document.get("propargs") or {}
    if not all(isinstance(value, (int, float)) for value in propargs.values()):
        raise ValueError(f"{key} has propargs that are no numbers")
    info = document.get("eval_info") or {}
    return Setting(
        key=key,
        type=kind,
        label=document.get("label") or key.replace("_", " ").capitalize(),
        description=document.get("description") or "",
        subtype=document.get("subtype"),
        choices=tuple(document.get("choices") or ()),
        propargs=dict(propargs),
        default=document.get("default"),
        eval=document.get("eval"),
        link_text=info.get("description") or "",
        shows_link=bool(info.get("show_link_button", True)),
        visibility=document.get("visibility") or "visible",
        required=bool(document.get("required", False)),
        editable=bool(document.get("editable", True)),
    )
