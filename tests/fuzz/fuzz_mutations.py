"""Damage bytes by chance: the fuzzer that needs nothing but Python, the same on every machine for one seed."""

import random
import struct

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x0100, 0x10000)
_FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, 1e38, -1.0, 5e-324)


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to six changes: bits, numbers at their edges, pieces removed, doubled, swapped or taken from others."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(_CHANGES)(out, others, rng)
    return bytes(out[: 1 << 16])


def _flip_bit(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    if out:
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)


def _set_byte(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    if out:
        out[rng.randrange(len(out))] = rng.randrange(256)


def _set_number(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    code = rng.choice("BHI") if rng.random() < 0.8 else rng.choice("fd")
    order = rng.choice("<>")
    value = rng.choice(_EDGES) + rng.choice((-1, 0, 1)) if code in "BHI" else rng.choice(_FLOATS)
    size = struct.calcsize(code)
    if len(out) < size:
        return
    raw = struct.pack(order + code, value % (1 << 8 * size) if code in "BHI" else _narrow(value, code))
    at = rng.randrange(len(out) - size + 1)
    out[at : at + size] = raw


def _narrow(value: float, code: str) -> float:
    return 0.0 if code == "f" and value == 5e-324 else value


def _remove(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    if out:
        at = rng.randrange(len(out))
        del out[at : at + _length(rng)]


def _double(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    if out:
        at = rng.randrange(len(out))
        piece = bytes(out[at : at + _length(rng)])
        out[at:at] = piece * rng.choice((1, 1, 1, 20))


def _insert(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(out) + 1)
    out[at:at] = rng.randbytes(_length(rng)) if rng.random() < 0.5 else bytes(_length(rng))


def _truncate(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    del out[rng.randrange(len(out) + 1) :]


def _cross(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    if other and out:
        start = rng.randrange(len(other))
        at = rng.randrange(len(out))
        piece = other[start : start + _length(rng)]
        out[at : at + len(piece)] = piece


def _swap(out: bytearray, others: list[bytes], rng: random.Random) -> None:
    if len(out) > 4:
        size = min(_length(rng), len(out) // 2)
        first, second = sorted(rng.randrange(len(out) - size + 1) for _ in range(2))
        if second - first >= size:
            out[first : first + size], out[second : second + size] = (
                out[second : second + size],
                out[first : first + size],
            )


def _length(rng: random.Random) -> int:
    return rng.choice((1, 1, 2, 4, 8, 16, 64))


_CHANGES = (_flip_bit, _set_byte, _set_number, _set_number, _remove, _double, _insert, _truncate, _cross, _swap)
