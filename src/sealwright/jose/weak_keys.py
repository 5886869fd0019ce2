"""Public keys that parse and still must never be trusted."""

from __future__ import annotations

from functools import cache

_P25519 = 2**255 - 19
_P448 = 2**448 - 2**224 - 1

# The y coordinates of the points of order 1, 2, 4 and 8: with such a key one signature fits many messages,
# and OpenSSL does not refuse it. Comparing modulo p catches the non-canonical encodings too.
_SMALL_ORDER_Y = {
    "Ed25519": (
        _P25519,
        frozenset({
            0, 1, _P25519 - 1,
            2707385501144840649318225287225658788936804267575313519463743609750303402022,
            55188659117513257062467267217118295137698188065244968500265048394206261417927,
        }),
    ),
    "Ed448": (_P448, frozenset({0, 1, _P448 - 1})),
}  # fmt: skip

# The primes modulo which 65537 generates a proper subgroup: a vulnerable modulus lies in all of them,
# a sound one with a chance of about 2**-27 (Nemec et al., "The Return of Coppersmith's Attack", 2017).
_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def is_small_order(curve: str, raw: bytes) -> bool:
    """True for the low-order points of an Edwards curve; ``raw`` is the RFC 8032 encoding."""
    prime, small = _SMALL_ORDER_Y[curve]
    y = int.from_bytes(raw, "little") & ~(1 << (len(raw) * 8 - 1))  # without the sign bit of x
    return y % prime in small


def is_roca_modulus(modulus: int) -> bool:
    """True when an RSA modulus has the fingerprint of CVE-2017-15361."""
    return all(modulus % prime in _subgroup(prime) for prime in _ROCA_PRIMES)


@cache
def _subgroup(prime: int) -> frozenset[int]:
    return frozenset(pow(65537, exponent, prime) for exponent in range(prime - 1))
