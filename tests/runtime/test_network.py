import ipaddress
import socket

import pytest

from flamenco_runtime.network import Interface, group_receiver, group_sender, interfaces_of, own_interfaces

LOOPBACK = Interface("127.0.0.1/8")


def test_own_addresses_are_those_that_others_can_reach() -> None:
    assert all(not interface.ip.is_loopback for interface in own_interfaces())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_whoever_listens_everywhere_is_reached_under_every_address(host: str) -> None:
    assert interfaces_of(host) == own_interfaces()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.53"])
def test_whoever_listens_on_loopback_is_reached_by_nobody_else(host: str) -> None:
    assert interfaces_of(host) == []


def test_whoever_listens_on_one_address_is_reached_under_that() -> None:
    for interface in own_interfaces():
        assert interfaces_of(str(interface.ip)) == [interface]


def test_a_datagram_to_a_group_reaches_all_who_joined_it_also_on_one_port() -> None:
    port = free_port()
    with (
        group_receiver("239.255.255.250", port, [LOOPBACK]) as first,
        group_receiver("239.255.255.250", port, [LOOPBACK]) as second,
        group_sender(LOOPBACK) as sender,
    ):
        sender.sendto(b"hello", ("239.255.255.250", port))
        for receiver in (first, second):
            receiver.settimeout(20)
            data, address = receiver.recvfrom(100)
            assert (data, ipaddress.ip_address(address[0])) == (b"hello", LOOPBACK.ip)
        sender.sendto(b"to you alone", ("127.0.0.1", port))  # is not for the group
        sender.sendto(b"again", ("239.255.255.250", port))
        assert first.recvfrom(100)[0] == b"again"


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(OSError, match=r"address|Address|device"):
        group_sender(Interface("192.0.2.200/24"))


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
