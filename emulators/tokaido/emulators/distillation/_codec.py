"""Compact forms of arrays on the wire. Every decoder raises `MessageError` and nothing else, whatever it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.hal import ProtocolError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDE: Final = 0xFFFF  # stands for a distance that does not fit; the distance itself is in the second field
_LARGEST_SLOT: Final = 1 << 62


class MessageError(ProtocolError):
    """A distillation message cannot be decoded, or holds what no honest peer would send."""


def pack_bits(bits: NDArray[np.uint8]) -> bytes:
    """Return uint8[n] of 0 and 1 as ceil(n / 8) bytes, first bit in the highest place."""
    return np.packbits(bits).tobytes()


def unpack_bits(data: bytes, count: int) -> NDArray[np.uint8]:
    """Return the uint8[count] that was packed; the unused bits of the last byte must be 0."""
    if len(data) != -(-count // 8):
        raise MessageError(f"{len(data)} bytes do not hold {count} bits")
    if count % 8 and data[-1] & (0xFF >> count % 8):
        raise MessageError("bits beyond the end are set")
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count)


def pack_labels(labels: NDArray[np.uint8]) -> bytes:
    """Return uint8[n] of 0, 1 and 2 in two bits each: all low bits, then all high bits."""
    return np.packbits(np.concatenate((labels & 1, labels >> 1))).tobytes()


def unpack_labels(data: bytes, count: int) -> NDArray[np.uint8]:
    """Return the uint8[count] of 0, 1 and 2 that was packed."""
    planes = unpack_bits(data, 2 * count)
    labels = planes[:count] | planes[count:] << np.uint8(1)
    if (labels > 2).any():
        raise MessageError("there is no intensity 3")
    return labels


def pack_slots(slots: NDArray[np.int64], previous: int) -> tuple[bytes, bytes]:
    """Return ascending int64[n] slots as uint16 distances, the first one from `previous`, and the wide distances."""
    distances = np.empty_like(slots)
    distances[:1] = slots[:1] - previous
    np.subtract(slots[1:], slots[:-1], out=distances[1:])
    if not slots.size or distances.max() < _WIDE:
        return distances.astype("<u2").tobytes(), b""
    wide = distances >= _WIDE
    return np.where(wide, _WIDE, distances).astype("<u2").tobytes(), distances[wide].astype("<i8").tobytes()


def unpack_slots(data: bytes, wide: bytes, previous: int) -> NDArray[np.int64]:
    """Return the ascending int64[n] slots, all above `previous`, that was packed."""
    if len(data) % 2 or len(wide) % 8:
        raise MessageError("slot distances are cut")
    short, far = np.frombuffer(data, "<u2"), np.frombuffer(wide, "<i8")
    places = np.flatnonzero(short == _WIDE)
    if places.size != far.size or (far < _WIDE).any() or (far > _LARGEST_SLOT).any():
        raise MessageError("wide slot distances do not fit")
    last = previous + float(short.sum(dtype=np.int64) - _WIDE * far.size) + float(far.sum(dtype=np.float64))
    if not short.all() or last > _LARGEST_SLOT:
        raise MessageError("slots do not ascend")
    steps: NDArray[np.integer] = short
    if far.size:
        steps = short.astype(np.int64)
        steps[places] = far
    slots = np.cumsum(steps, dtype=np.int64)
    slots += previous
    return slots


def pack_positions(positions: NDArray[np.int64]) -> bytes:
    """Return int64[n] positions below 2^32 as 4 bytes each."""
    return positions.astype("<u4").tobytes()


def unpack_positions(data: bytes, largest: int) -> NDArray[np.int64]:
    """Return the int64[n] positions, none above `largest`."""
    if len(data) % 4:
        raise MessageError("positions are cut")
    positions = np.frombuffer(data, "<u4").astype(np.int64)
    if (positions > largest).any():
        raise MessageError("a position lies beyond the end of the frame")
    return positions
