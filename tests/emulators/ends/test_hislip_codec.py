"""The codec of the HiSLIP server: whatever comes, in whatever pieces (IVI-6.1, 2.3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokaido.emulators.ends.hislip import Decoder, Message, encode
from tokaido.emulators.ends.hislip._messages import PoorlyFormedError, TooLarge

MESSAGES = st.builds(
    Message, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=40)
)


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 60))
def test_messages_are_decoded_as_they_were_encoded(messages: list[Message], step: int) -> None:
    data = b"".join(map(encode, messages))
    decoder = Decoder(40)
    found = [m for i in range(0, len(data), step) for m in decoder.feed(data[i : i + step])]
    assert found == messages


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise_anything_but_its_own(data: bytes) -> None:
    try:
        for message in Decoder(100).feed(data):
            assert isinstance(message, Message | TooLarge)
    except PoorlyFormedError:
        pass
