"""Containers of keys, as clients take them."""

from __future__ import annotations

import pytest

from tokaido.hal import ProtocolError
from tokaido.node.client._messages import keys_in


def test_a_container_is_wiped_whether_its_keys_are_taken_or_not() -> None:
    text = b'{"keys":[{"key_ID":"550e8400-e29b-41d4-a716-446655440000","key":"%b"}]}' % (b"A" * 43 + b"=")
    body = bytearray(text)
    (taken,) = keys_in(body, number=1, size=256)
    assert (taken.key.bits, bytes(body)) == (256, bytes(len(text)))
    body = bytearray(text)
    with pytest.raises(ProtocolError):
        keys_in(body, number=2, size=256)
    assert bytes(body) == bytes(len(text))
