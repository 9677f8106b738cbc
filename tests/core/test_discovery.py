"""The datagrams of SSDP, byte for byte, and what strangers send instead (worker-api.md, section 11)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core import VERSION
from flamenco_core.wire.discovery import (
    LONGEST_DATAGRAM_BYTES,
    MDNS_TYPE,
    alive_notice,
    asks_for_managers,
    byebye_notice,
    manager_in_reply,
    search_reply,
    search_request,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FLAMENCO3_SEARCH = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 3\r\n'
    b"ST: urn:flamenco:manager:0\r\nUSER-AGENT: anything\r\n\r\n"
)
FLAMENCO3_REPLY = (
    b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=3600\r\nDATE: Sat, 31 Jan 2026 12:00:00 GMT\r\nEXT: \r\n"
    b"LOCATION: http://192.0.2.7:8080/upnp/description.xml\r\nSERVER: Linux/6 UPnP/1.0 Flamenco/3\r\n"
    b"ST: urn:flamenco:manager:0\r\nUSN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0\r\n\r\n"
)


def test_what_we_ask_is_what_flamenco_3_asks() -> None:
    assert search_request(3) == FLAMENCO3_SEARCH.replace(b"USER-AGENT: anything\r\n", b"")
    assert asks_for_managers(search_request())
    assert asks_for_managers(FLAMENCO3_SEARCH)


def test_an_answer_says_all_that_a_flamenco_3_worker_looks_at() -> None:
    assert search_reply("http://192.0.2.7:8080", NOON).decode() == (
        "HTTP/1.1 200 OK\r\n"
        "CACHE-CONTROL: max-age=3600\r\n"
        "DATE: Sat, 31 Jan 2026 12:00:00 GMT\r\n"
        "EXT:\r\n"
        "LOCATION: http://192.0.2.7:8080/upnp/description.xml\r\n"
        f"SERVER: Flamenco/{VERSION} UPnP/1.0\r\n"
        "ST: urn:flamenco:manager:0\r\n"
        "USN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0\r\n"
        "\r\n"
    )


def test_the_url_of_a_manager_is_read_from_its_answer() -> None:
    assert manager_in_reply(FLAMENCO3_REPLY) == "http://192.0.2.7:8080"
    assert manager_in_reply(search_reply("http://192.0.2.7:8080/", NOON)) == "http://192.0.2.7:8080"
    assert manager_in_reply(FLAMENCO3_REPLY.replace(b"\r\n", b"\n")) == "http://192.0.2.7:8080"
    assert manager_in_reply(FLAMENCO3_REPLY.replace(b"LOCATION", b"Location")) == "http://192.0.2.7:8080"


def test_announcements_are_for_the_group() -> None:
    alive, byebye = alive_notice("http://192.0.2.7:8080"), byebye_notice()
    for notice, kind in ((alive, b"ssdp:alive"), (byebye, b"ssdp:byebye")):
        assert notice.startswith(b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: urn:flamenco:manager:0\r\n")
        assert b"\r\nNTS: " + kind + b"\r\n" in notice
        assert b"\r\nUSN: uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d::urn:flamenco:manager:0\r\n" in notice
        assert notice.endswith(b"\r\n\r\n")
    assert b"\r\nLOCATION: http://192.0.2.7:8080/upnp/description.xml\r\n" in alive
    assert b"\r\nCACHE-CONTROL: max-age=3600\r\n" in alive
    assert manager_in_reply(alive) is None  # Flamenco 3 listens to answers only


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"M-SEARCH", b"NOTIFY"),
        (b"M-SEARCH * HTTP/1.1", b"GET / HTTP/1.1"),
        (b'MAN: "ssdp:discover"', b'MAN: "ssdp:alive"'),
        (b"MAN:", b"MEN:"),
        (b"ST: urn:flamenco:manager:0", b"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1"),
        (b"ST: urn:flamenco:manager:0\r\n", b""),
        (b"\r\nHOST", b"\r\n\r\nHOST"),
    ],
)
def test_other_questions_are_not_for_us(old: bytes, new: bytes) -> None:
    assert old in FLAMENCO3_SEARCH
    assert not asks_for_managers(FLAMENCO3_SEARCH.replace(old, new))


def test_whoever_looks_for_everything_finds_managers_too() -> None:
    assert asks_for_managers(FLAMENCO3_SEARCH.replace(b"urn:flamenco:manager:0", b"ssdp:all"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"200 OK", b"404 Not Found"),
        (b"aa80bc5f", b"bb80bc5f"),
        (b"LOCATION: http://192.0.2.7:8080/upnp/description.xml\r\n", b""),
        (b"http://192.0.2.7:8080", b"ftp://192.0.2.7:8080"),
        (b"http://192.0.2.7:8080", b"file://"),
        (b"http://192.0.2.7:8080", b"http://"),
        (b"http://192.0.2.7:8080", b"http://:8080"),
        (b"http://192.0.2.7:8080", b"http://192.0.2.7:99999"),
        (b"http://192.0.2.7:8080", b"http://192.0.2.7:0"),
        (b"http://192.0.2.7:8080", b"http://[192.0.2.7:8080"),
        (b"http://192.0.2.7:8080", b"http://user:secret@192.0.2.7:8080"),
        (b"http://192.0.2.7:8080", b"http://192.0.2.7:port"),
    ],
)
def test_an_answer_that_names_no_manager_is_passed_over(old: bytes, new: bytes) -> None:
    assert old in FLAMENCO3_REPLY
    assert manager_in_reply(FLAMENCO3_REPLY.replace(old, new)) is None


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_any_bytes_are_read_without_harm(datagram: bytes) -> None:
    assert not asks_for_managers(datagram)
    assert manager_in_reply(datagram) is None
    assert manager_in_reply(FLAMENCO3_REPLY[:40] + datagram + FLAMENCO3_REPLY[40:]) in (None, "http://192.0.2.7:8080")


def test_no_more_is_read_than_a_datagram_of_ours_could_have() -> None:
    assert manager_in_reply(b"HTTP/1.1 200 OK\r\nX: " + b"x" * LONGEST_DATAGRAM_BYTES + FLAMENCO3_REPLY[15:]) is None


def test_the_name_in_multicast_dns_is_one_that_may_be_registered() -> None:
    """RFC 6335, section 5.1: at most 15 characters, letters, digits and hyphens."""
    name = MDNS_TYPE.removeprefix("_").removesuffix("._tcp.local.")
    assert len(name) <= 15
    assert name.replace("-", "").isalnum()
