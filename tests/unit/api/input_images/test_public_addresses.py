"""Every way to write an address that is not the public's."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.input_images.public_addresses import addresses_of, is_public

PRIVATE_IPV4 = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",  # carrier-grade NAT
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's platform
    "169.254.169.254",  # most clouds' metadata
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
PRIVATE_IPV6 = [
    "::",
    "::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "64:ff9b:1::1",  # a network's own NAT64
    "fc00::1",
    "fd00:ec2::254",  # Amazon's metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


def hiding(address: IPv4Address) -> list[IPv6Address]:
    """Return the IPv6 addresses behind which an IPv4 address can be reached."""
    number = int(address)
    return [
        IPv6Address((0xFFFF << 32) + number),  # mapped
        IPv6Address((0x2002 << 112) + (number << 80)),  # 6to4
        IPv6Address((0x64FF9B << 96) + number),  # NAT64
    ]


@pytest.mark.parametrize("text", PRIVATE_IPV4 + PRIVATE_IPV6)
def test_private_addresses(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PRIVATE_IPV4)
def test_private_addresses_in_disguise(text: str) -> None:
    assert not any(map(is_public, hiding(IPv4Address(text))))
    assert not is_public(IPv6Address(int(IPv4Address(text))))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111"])
def test_public_addresses(text: str) -> None:
    assert is_public(ip_address(text))


def test_public_addresses_in_disguise() -> None:
    assert all(map(is_public, hiding(IPv4Address("1.1.1.1"))))


@given(st.ip_addresses(v=4))
def test_a_disguise_changes_nothing(address: IPv4Address) -> None:
    assert {is_public(disguised) for disguised in hiding(address)} == {is_public(address)}


@given(st.ip_addresses(v=6))
def test_what_is_public_is_global(address: IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_site_local


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "LOCALHOST",
    ],
)
async def test_all_ways_to_write_loopback_are_known(host: str) -> None:
    addresses = await addresses_of(host)
    assert addresses
    assert all(address.is_loopback for address in addresses)


async def test_an_ipv6_number_is_its_own_address() -> None:
    assert await addresses_of("2001:db8::7") == [IPv6Address("2001:db8::7")]


@pytest.mark.parametrize(
    "host",
    ["no-such-host.invalid", "", "a" * 70, "a..b", "%31", "a b", "a\0b", "\ud800", "1.2.3.4.5"],
)
async def test_names_that_nobody_knows(host: str) -> None:
    assert not any(map(is_public, await addresses_of(host)))
