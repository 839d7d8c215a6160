"""No key stays where somebody finds it: in the local variables of an error, or in what lives on after a commit."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator
from tokaido_testing.patience import patient
from tokaido_testing.unit_vendors import Vendor

SESSION = "00ff00ff00ff00ff"
T = TypeVar("T")
Load = Callable[[Vendor, Emulator, hal.KeyMaterial, Path], None]
DRAWN = 300
TIMEOUT_S = 0.4
PSK_BYTES = 4096


def holds(value: object, secret: bytes, depth: int = 6, seen: set[int] | None = None) -> bool:
    """Whether these bytes are in a value, or in anything that it leads to, keys themselves excepted."""
    seen = set() if seen is None else seen
    if depth == 0 or id(value) in seen or isinstance(value, hal.KeyMaterial | type):
        return False
    seen.add(id(value))
    if isinstance(value, str):
        return secret.hex() in value
    if isinstance(value, bytes | bytearray):
        return secret in bytes(value)
    if isinstance(value, memoryview):
        try:
            return secret in bytes(value)
        except ValueError:  # it was released
            return False
    if isinstance(value, type(os)):
        return False
    return any(holds(part, secret, depth - 1, seen) for part in gc.get_referents(value))


def frames_of(error: BaseException | None) -> Iterator[Any]:
    """Return every frame of an error's traceback and of those that led to it, without the test's own."""
    while error is not None:
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            if "/tests/" not in trace.tb_frame.f_code.co_filename:
                yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def check_error(error: BaseException, secret: bytes) -> None:
    frames = list(frames_of(error))
    assert frames
    for frame in frames:
        for name, value in frame.f_locals.items():
            shown = repr(value)
            leaks = holds(value, secret[:16]) or secret[:8].hex() in shown or repr(secret[:8])[2:-1] in shown
            assert not leaks, f"{frame.f_code.co_name} holds it in {name}"


def by_aio(vendor: Vendor, emulator: Emulator, key: hal.KeyMaterial, _: Path) -> None:
    async def load() -> None:
        opening = hal.aio.open(
            hal.Transmitter.open, vendor.transmitter, timeout=patient(TIMEOUT_S), **emulator.resources
        )
        async with opening as tx:
            await tx.call(hal.Transmitter.load_preshared_key, key)

    asyncio.run(load())


def by_station(vendor: Vendor, emulator: Emulator, key: hal.KeyMaterial, folder: Path) -> None:
    resources = "".join(f'{name} = "{resource}"\n' for name, resource in emulator.resources.items())
    file = folder / "lab.toml"
    file.write_text(
        f'[station]\nname = "lab"\non_exit = "keep"\n[devices.alice]\ndriver = "{vendor.transmitter}"\n'
        f"timeout = {patient(TIMEOUT_S)}\n{resources}"
    )
    with hal.Station.from_file(file) as station:
        station.device("alice", hal.Transmitter).load_preshared_key(key)


def by_call(vendor: Vendor, emulator: Emulator, key: hal.KeyMaterial, _: Path) -> None:
    with hal.Transmitter.open(vendor.transmitter, timeout=patient(TIMEOUT_S), **emulator.resources) as tx:
        tx.load_preshared_key(key)


@pytest.mark.parametrize("load", [by_call, by_aio, by_station])
@pytest.mark.parametrize("lost", ["from_unit", "to_unit"])
def test_a_pre_shared_key_whose_fate_is_unknown_is_in_no_local_variable(
    vendor: Vendor, emulator: Emulator, tmp_path: Path, load: Load, lost: Literal["from_unit", "to_unit"]
) -> None:
    secret = os.urandom(PSK_BYTES)
    key = hal.KeyMaterial(secret)
    emulator.faults.add("drop", direction=lost, port="keys", match=b"loaded" if lost == "from_unit" else b"load_psk")
    with pytest.raises(hal.OutcomeUnknownError) as caught:
        load(vendor, emulator, key, tmp_path)
    check_error(caught.value, secret)


def fill(emulator: Emulator, count: int, size: int = 512) -> list[bytes]:
    """Put blocks into the store of a unit, and return their keys."""
    secrets = [os.urandom(size) for _ in range(count)]
    for number, secret in enumerate(secrets):
        info = hal.KeyBlockInfo(
            SESSION, number, 8 * size, "lim2014", "chernoff", 1e-10, False, True, serial_number=emulator.serial_number
        )
        with emulator.lock:
            emulator.model.add_key_block(info, hal.KeyMaterial(secret))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return secrets


@pytest.mark.parametrize(
    ("kind", "match"),
    [("drop", b"acked"), ("truncate", b"digest"), ("garble", b"blocks"), ("latency", b"blocks")],
)
def test_a_block_that_nobody_gets_is_in_no_local_variable(
    emulator: Emulator, tx: hal.Transmitter, kind: str, match: bytes
) -> None:
    (secret,) = fill(emulator, 1)
    emulator.faults.add(kind, port="keys", match=match, seconds=1.2 * tx.transport.timeout_s)
    raised = 0
    for _ in range(4):
        try:
            list(tx.key_blocks(0))
        except hal.TokaidoError as error:
            raised += 1
            check_error(error, secret)
    assert raised


def test_a_commit_that_is_lost_shows_nothing_either(emulator: Emulator, tx: hal.Transmitter) -> None:
    (secret,) = fill(emulator, 1)
    emulator.faults.add("drop", port="keys", match=b"committed")
    (block,) = tx.key_blocks(0)
    with pytest.raises(hal.OutcomeUnknownError) as caught:
        block.commit()
    check_error(caught.value, secret)


def test_what_was_committed_lives_nowhere_but_where_the_program_keeps_it(
    emulator: Emulator, tx: hal.Transmitter
) -> None:
    """Also while the iterator goes on, which may be for months."""
    secrets = set(fill(emulator, DRAWN, size=32))
    blocks = tx.key_blocks(0)
    assert sum(commit(block) for block in itertools.islice(blocks, DRAWN)) == DRAWN
    gc.collect()
    assert sum(bytes(key.reveal()) in secrets for key in living(hal.KeyMaterial) if not key.wiped) == 0
    assert [block for block in living(hal.KeyBlock) if block.info.bits == 256] == []  # and not of another test
    assert next(blocks, None) is None


def commit(block: hal.KeyBlock) -> int:
    block.commit()
    return 1


def living(kind: type[T]) -> list[T]:
    """Return every object of this class that lives."""
    return [one for one in gc.get_objects() if type(one) is kind]
