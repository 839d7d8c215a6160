"""Sifting over whole arrays: flat functions that hold nothing. Basis 0 is the key basis, 1 the check basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tokaido.emulators import fast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.uint8]


def select(values: Column, mask: Column) -> Column:
    """Return the values, uint8[n], where the mask, uint8[n] of 0 and 1, is 1."""
    if fast.enabled(values.size):
        from tokaido.emulators.distillation import _fast_sifting  # noqa: PLC0415 - compiles, so only when needed

        return _fast_sifting.select(values, mask)
    return values.take(np.flatnonzero(mask != 0))  # of booleans it is found ten times as fast


class SentSift(NamedTuple):
    """What the transmitter has of the detections whose bases are equal, in the order of their slots."""

    keep: Column
    """uint8[n] over all n detections: 1 if the bases are equal."""
    key_bits: Column
    key_labels: Column
    check_bits: Column
    check_labels: Column


def sift_sent(basis: Column, bit: Column, intensity: Column, receiver_basis: Column) -> SentSift:
    """Return what is kept of uint8[n] detections, given the bases that the receiver measured them in."""
    in_key, in_check = (basis | receiver_basis) ^ np.uint8(1), basis & receiver_basis
    columns = (select(column, mask) for mask in (in_key, in_check) for column in (bit, intensity))
    return SentSift(in_key | in_check, *columns)


def sift_got(basis: Column, bit: Column, keep: Column) -> tuple[Column, Column]:
    """Return the receiver's kept bits of uint8[n] detections, those of the key basis and those of the check basis."""
    in_check = keep & basis
    return select(bit, keep ^ in_check), select(bit, in_check)
