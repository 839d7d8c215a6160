"""What every message port does with a piece: [routing id, client key, frame...] in, [routing id, b"", frame...] out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.emulators.ends._wire import Wire

if TYPE_CHECKING:
    from tokaido.emulators._model import DeviceModel


class MessageWire(Wire):
    """Carries the message port of a model. Its arguments are those of `Wire`."""

    def _content(self, piece: list[bytes]) -> list[bytes]:
        return piece[2:]

    def _rebuilt(self, piece: list[bytes], content: list[bytes]) -> list[bytes]:
        return [*piece[:2], *content]

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        model.note_host_time(self._clock.monotonic_ns())
        model.receive_message(piece[0], piece[1].decode(), piece[2:])

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        model.note_host_time(self._clock.monotonic_ns())
        return [[peer, b"", *frames] for peer, frames in model.take_messages()]
