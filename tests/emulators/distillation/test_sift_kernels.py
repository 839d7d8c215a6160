from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaido.emulators.distillation._detector_watch import DetectorWatch
from tokaido.emulators.distillation._sift_kernels import sift_got, sift_sent

DETECTION = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 2), st.integers(0, 1), st.integers(0, 1))


@given(st.lists(DETECTION, max_size=60))
@settings(deadline=None, max_examples=60)
def test_sifting_keeps_what_was_measured_in_the_basis_that_it_was_sent_in(rows: list[tuple[int, ...]]) -> None:
    basis, bit, intensity, other_basis, other_bit = np.array(rows, np.uint8).reshape(-1, 5).T.copy()
    sent = sift_sent(basis, bit, intensity, other_basis)
    assert sent.keep.tolist() == [int(row[0] == row[3]) for row in rows]
    for kept_in, bits, labels in ((0, sent.key_bits, sent.key_labels), (1, sent.check_bits, sent.check_labels)):
        kept = [row for row in rows if row[0] == row[3] == kept_in]
        assert bits.tolist() == [row[1] for row in kept]
        assert labels.tolist() == [row[2] for row in kept]
    got = sift_got(other_basis, other_bit, sent.keep)
    for kept_in, bits in enumerate(got):
        assert bits.tolist() == [row[4] for row in rows if row[0] == row[3] == kept_in]
    at = np.flatnonzero(sent.keep)
    one_by_one, by_basis = DetectorWatch(), DetectorWatch()
    one_by_one.count(at, other_basis[at], other_bit[at])
    by_basis.count_pair(*got)
    assert one_by_one._counts.tolist() == by_basis._counts.tolist()
