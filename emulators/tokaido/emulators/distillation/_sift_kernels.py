"""Sifting over whole arrays: flat functions that hold nothing. Basis 0 is the key basis, 1 the check basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.uint8]


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
    key_at = np.flatnonzero(basis | receiver_basis == 0)
    check_at = np.flatnonzero(basis & receiver_basis)
    keep = (basis == receiver_basis).view(np.uint8)
    return SentSift(keep, bit.take(key_at), intensity.take(key_at), bit.take(check_at), intensity.take(check_at))


def sift_got(basis: Column, bit: Column, keep: Column) -> tuple[Column, Column]:
    """Return the receiver's kept bits of uint8[n] detections, those of the key basis and those of the check basis."""
    return bit.take(np.flatnonzero(keep > basis)), bit.take(np.flatnonzero(keep & basis))
