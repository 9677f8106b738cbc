"""How Workers find a Manager in their network: the names under which it is announced, and the datagrams of SSDP.

SSDP is what Flamenco 3 Workers use (worker-api.md, section 11; UPnP Device Architecture 1.0, section 1). Ours look for
the name in multicast DNS first. Pure: no sockets.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from flamenco_core import VERSION

SSDP_GROUP = "239.255.255.250"
SSDP_PORT = 1900
SSDP_TARGET = "urn:flamenco:manager:0"
"""The type of device that a Manager is."""
SSDP_DEVICE = "uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d"
"""The same for every Manager: Flamenco 3 Workers take no other."""
SSDP_NAME = f"{SSDP_DEVICE}::{SSDP_TARGET}"
DESCRIPTION_PATH = "/upnp/description.xml"
LIFETIME_S = 3600
"""How long an announcement holds."""
LONGEST_DATAGRAM_BYTES = 8192

MDNS_TYPE = "_flamenco-mgr._tcp.local."
"""The service in multicast DNS. RFC 6335 lets its name have 15 characters."""

_SERVER = f"Flamenco/{VERSION} UPnP/1.0"
_ALL = "ssdp:all"


def search_request(answer_within_s: int = 3) -> bytes:
    """Write the question for Managers, which is sent to the group."""
    headers = {
        "HOST": f"{SSDP_GROUP}:{SSDP_PORT}",
        "MAN": '"ssdp:discover"',
        "MX": str(answer_within_s),
        "ST": SSDP_TARGET,
    }
    return _message("M-SEARCH * HTTP/1.1", headers)


def asks_for_managers(datagram: bytes) -> bool:
    """Tell whether a datagram to the group is a question that a Manager answers."""
    start, headers = _parsed(datagram)
    return (
        start == "M-SEARCH * HTTP/1.1"
        and headers.get("MAN", "").strip('"') == "ssdp:discover"
        and headers.get("ST") in (SSDP_TARGET, _ALL)
    )


def search_reply(base_url: str, now: datetime) -> bytes:
    """Write the answer of a Manager that is reached under this URL, which goes to the one who asked."""
    headers = {
        "CACHE-CONTROL": f"max-age={LIFETIME_S}",
        "DATE": format_datetime(now, usegmt=True),
        "EXT": "",
        "LOCATION": base_url.rstrip("/") + DESCRIPTION_PATH,
        "SERVER": _SERVER,
        "ST": SSDP_TARGET,
        "USN": SSDP_NAME,
    }
    return _message("HTTP/1.1 200 OK", headers)


def alive_notice(base_url: str) -> bytes:
    """Write the announcement that a Manager is there, for the group."""
    return _notice(
        "ssdp:alive",
        {
            "CACHE-CONTROL": f"max-age={LIFETIME_S}",
            "LOCATION": base_url.rstrip("/") + DESCRIPTION_PATH,
            "SERVER": _SERVER,
        },
    )


def byebye_notice() -> bytes:
    """Write the announcement that a Manager goes away, for the group."""
    return _notice("ssdp:byebye", {})


def manager_in_reply(datagram: bytes) -> str | None:
    """Return the URL of the Manager that answers; None when it is no such answer."""
    start, headers = _parsed(datagram)
    if not start.startswith("HTTP/1.1 200") or SSDP_DEVICE.removeprefix("uuid:") not in headers.get("USN", ""):
        return None
    try:
        location = urlsplit(headers.get("LOCATION", ""))
        is_usable = location.scheme in ("http", "https") and bool(location.hostname) and location.port != 0
    except ValueError:  # a port or an address that is none
        return None
    if not is_usable or "@" in location.netloc:
        return None
    return f"{location.scheme}://{location.netloc}"


def _notice(kind: str, more: Mapping[str, str]) -> bytes:
    headers = {"HOST": f"{SSDP_GROUP}:{SSDP_PORT}", "NT": SSDP_TARGET, "NTS": kind, "USN": SSDP_NAME, **more}
    return _message("NOTIFY * HTTP/1.1", headers)


def _message(start: str, headers: Mapping[str, str]) -> bytes:
    lines = [start, *(f"{name}: {value}".rstrip() for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def _parsed(datagram: bytes) -> tuple[str, Mapping[str, str]]:
    """Split a datagram into its first line and its headers, named in capitals; nothing is certain of a foreign one."""
    text = datagram[:LONGEST_DATAGRAM_BYTES].decode("utf-8", "replace")
    start, *lines = text.replace("\r\n", "\n").split("\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not line:
            break
        if colon:
            headers[name.strip().upper()] = value.strip()
    return start.strip(), headers
