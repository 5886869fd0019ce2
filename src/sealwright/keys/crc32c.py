"""CRC-32C (RFC 3720 Appendix B.4), which shows that a digest or a signature was not damaged on its way. Pure."""

from __future__ import annotations

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected


def crc32c(data: bytes) -> int:
    """The checksum of a few kilobytes: table-driven Python, about 0.1 µs a byte."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))
