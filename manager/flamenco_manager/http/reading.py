"""What the Manager tells anybody: which version it is, how its site is set up (worker-api.md, section 7).

Everything here only reads; people change things through the Server.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from aiohttp import web

from flamenco_core import VERSION
from flamenco_core.errors import BadInput
from flamenco_core.wire.discovery import DESCRIPTION_PATH, SSDP_DEVICE, SSDP_TARGET
from flamenco_core.wire.variables import AUDIENCES
from flamenco_core.wire.worker_api import ManagerVersion, ManagerVersionSchema
from flamenco_manager.variables import Listed
from flamenco_runtime.json_body import json_reply

_VERSION = ManagerVersionSchema()
_UPNP = "urn:schemas-upnp-org:device-1-0"


@dataclass(frozen=True)
class Site:
    """A Manager and its site, as anybody may know them.

    ``variables`` lists them for an audience and a platform; ``status`` is a word of Flamenco 3 for what the farm does.
    """

    name: str
    jobs_folder: str
    variables: Callable[[str, str], Mapping[str, Listed]]
    status: Callable[[], str]


def reading_routes(site: Site) -> list[web.RouteDef]:
    """Return the routes that need no credentials."""
    version = _VERSION.dump(ManagerVersion(version=VERSION, shortversion=VERSION, name=site.name))
    configuration = {"storageLocation": site.jobs_folder, "shamanEnabled": False, "isFirstRun": False}
    description = device_description(site.name)

    async def show_version(_: web.Request) -> web.Response:
        return json_reply(version)

    async def show_configuration(_: web.Request) -> web.Response:
        return json_reply(configuration)

    async def show_status(_: web.Request) -> web.Response:
        return json_reply({"status": site.status()})

    async def describe(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="text/xml", charset="utf-8")

    return [
        web.get(DESCRIPTION_PATH, describe),
        web.get("/api/v3/version", show_version),
        web.get("/api/v3/status", show_status),
        web.get("/api/v3/configuration", show_configuration),
        *_routes_by_audience(site),
    ]


def device_description(name: str) -> bytes:
    """Write the description of the Manager as a UPnP device (UPnP Device Architecture 1.0, section 2.1)."""
    root = ET.Element("root", {"xmlns": _UPNP})
    version = ET.SubElement(root, "specVersion")
    device = ET.SubElement(root, "device")
    texts = {"major": "1", "minor": "0"}
    facts = {
        "deviceType": SSDP_TARGET,
        "friendlyName": name,
        "manufacturer": "Flamenco",
        "modelName": "Flamenco Manager",
        "modelNumber": VERSION,
        "UDN": SSDP_DEVICE,
        "presentationURL": "/",
    }
    for parent, children in ((version, texts), (device, facts)):
        for tag, text in children.items():
            ET.SubElement(parent, tag).text = text
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _routes_by_audience(site: Site) -> list[web.RouteDef]:
    async def show_variables(request: web.Request) -> web.Response:
        found = site.variables(*_audience_and_platform(request))
        return json_reply({name: asdict(variable) for name, variable in found.items()})

    async def show_storage(request: web.Request) -> web.Response:
        audience, platform = _audience_and_platform(request)
        jobs = site.variables(audience, platform).get("jobs")
        return json_reply(
            {
                "location": jobs.value if jobs else site.jobs_folder,
                "audience": audience,
                "platform": platform,
                "shamanEnabled": False,
            }
        )

    base = "/api/v3/configuration/"
    return [
        web.get(base + "variables/{audience}/{platform}", show_variables),
        web.get(base + "shared-storage/{audience}/{platform}", show_storage),
    ]


def _audience_and_platform(request: web.Request) -> tuple[str, str]:
    audience = request.match_info["audience"]
    if audience not in AUDIENCES:
        raise BadInput(f"audience is one of {', '.join(AUDIENCES)}.", {"audience": "Unknown."})
    return audience, request.match_info["platform"]
