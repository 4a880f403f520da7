"""Which network addresses a connection may dial: no private, loopback or link-local ones, in any spelling."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether a dialled address is a public one; IPv4 inside IPv6 is judged as IPv4."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    inner = _inner(found) if isinstance(found, IPv6Address) else found
    return inner.is_global and not inner.is_multicast


def _inner(address: IPv6Address) -> IPv4Address | IPv6Address:
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.teredo[1] if address.teredo else address
