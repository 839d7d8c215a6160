"""Sweeps on the workers of Dask (extra `cluster`): a scheduler that its user runs, reached over TCP or TLS.

No key and no device has part in a sweep. Dask sends Python objects by pickle: anybody that reaches a scheduler can run
code on its workers, and a scheduler can do so here. Nothing listens on this side.
"""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pkgutil import resolve_name
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tokaido.emulators.planning._sweep import work_off
from tokaido.hal import ConfigurationError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from pathlib import Path

    from distributed import Client, Security

    from tokaido.emulators.planning._sweep import Chunk, SpanResult, Worker

Run: TypeAlias = "Callable[[Coroutine[Any, Any, Any]], Any]"
"""Has a loop run a coroutine, and returns what it does."""
REACH_S: Final = 10.0
"""How long the scheduler, and then a first worker, may take to answer."""
LOOK_S: Final = 5.0
"""How often it is looked whether there still are workers,"""
LOOKS: Final = 12
"""and how many looks in a row may find none."""
SAME: Final = ("tokaido", "numpy")
"""Distributions that must have the same version everywhere, or results could differ."""


def dask_workers(
    address: str, *, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> Worker:
    """Return what works a sweep off on the workers of a scheduler of Dask.

    Args:
        address: Of the scheduler, as "tcp://HOST:PORT" or "tls://HOST:PORT".
        ca: Certificate of the authority for TLS.
        certificate: Of this client.
        key: Of this client. Without these three files TLS is as Dask's own configuration says.

    Returns:
        A worker for `sweep_drift`. It raises TokaidoError: `distributed` is not installed; the scheduler cannot be
        reached; there are no workers, or they have another version; work failed.

    Raises:
        ConfigurationError: The address is none, or a file of three is missing.
    """
    if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d{1,5}", address):
        raise ConfigurationError(
            f"{address!r} is not the address of a scheduler", remedy="Give tcp://HOST:PORT or tls://HOST:PORT"
        )
    files = (ca, certificate, key)
    if any(files) and (not all(files) or not address.startswith("tls://")):
        raise ConfigurationError(
            "the authority, certificate and key of a scheduler belong together, and to an address tls://HOST:PORT",
            remedy="Give all three, or none",
        )
    for file in filter(None, files):
        if not file.is_file():
            raise ConfigurationError(f"there is no file {file}", remedy="Give a file in PEM")

    def work(chunks: Sequence[Chunk]) -> Iterator[Sequence[SpanResult]]:
        security = _security(files)
        with _loop() as run:
            client = run(_connected(address, security))
            try:
                yield from _worked_off(run, client, address, chunks)
            finally:
                run(_closed(client))

    return work


def _security(files: tuple[Path | None, ...]) -> Security | None:
    """Return what TLS shows and believes; None: as Dask's configuration says."""
    try:
        from distributed import Security  # noqa: PLC0415 - an extra, and half a second
    except ImportError as error:
        raise TokaidoError(
            "a scheduler needs Dask's distributed, which is not installed",
            remedy="Install it with: pip install 'tokaido[cluster]'",
        ) from error
    if not all(files):
        return None
    ca, certificate, key = map(str, files)
    return Security(tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)


# --- the client -------------------------------------------------------------------------------------------------------


@contextmanager
def _loop() -> Iterator[Run]:
    """Run a loop in a thread, and give what has it run a coroutine.

    Dask would do so, too, but then waits for ever for a peer that says nothing, and its thread outlives a failure.
    """
    begun: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()

    async def live() -> None:
        over = asyncio.Event()
        begun.put((asyncio.get_running_loop(), over))
        await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(live(),), name="dask client", daemon=True)
    thread.start()
    loop, over = begun.get()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


async def _connected(address: str, security: Security | None) -> Client:
    from distributed import Client  # noqa: PLC0415

    client = None
    try:
        client = Client(address, asynchronous=True, timeout=REACH_S, security=security, set_as_default=False)
        return await asyncio.wait_for(client, REACH_S + 1)  # a second more, so that Dask can say what is wrong
    except Exception as error:
        if client is not None:
            await _closed(client)
        why = str(error) or "it does not answer"
        raise TokaidoError(
            f"Dask's scheduler at {address} cannot be reached within {REACH_S:g} s: {why}",
            remedy="Look whether `dask scheduler` runs there, and whether both ends use TLS or neither",
        ) from error


async def _closed(client: Client) -> None:
    with suppress(Exception):  # all is done, or has failed already
        closing: Any = client.close()
        await asyncio.wait_for(closing, REACH_S)
    client.status = "closed"  # or it would try again when it is collected


# --- the work ---------------------------------------------------------------------------------------------------------


def _worked_off(run: Run, client: Client, address: str, chunks: Sequence[Chunk]) -> Iterator[Sequence[SpanResult]]:
    mine = _versions()
    try:
        futures = run(_begun(client, mine, chunks))
        while futures:
            theirs, results = run(_result(client, address, futures.pop(0)))
            _compare("a worker", mine, theirs)
            yield results
    except TokaidoError:
        raise
    except TimeoutError as error:
        raise _lonely(address) from error
    except Exception as error:  # of Dask, or of a worker
        raise TokaidoError(
            f"work on the scheduler at {address} failed: {type(error).__name__}: {error}",
            remedy="Look at the logs of the scheduler and its workers",
        ) from error


async def _begun(client: Client, mine: dict[str, str], chunks: Sequence[Chunk]) -> list[Any]:
    """Look at the workers that there are, which need nothing of ours to answer, and give them all the work."""
    some: Any = client
    await asyncio.wait_for(some.wait_for_workers(1), REACH_S)

    async def ask(function: Callable[[str], object], of: str) -> Iterable[tuple[str, object]]:
        answers: dict[str, object] = await asyncio.wait_for(some.run(function, of, on_error="return"), REACH_S)
        return answers.items()

    for package, own in mine.items():
        for worker, answer in await ask(version, package):
            _compare(worker, {package: own}, {package: answer if isinstance(answer, str) else ""})
    for worker, answer in await ask(resolve_name, f"{__name__}:SAME"):
        if answer != SAME:
            raise TokaidoError(
                f"{worker} cannot import tokaido: {answer}", remedy="Start it with the Python that has tokaido[cluster]"
            )
    return list(client.map(_work_off, chunks, pure=False))


async def _result(client: Client, address: str, future: Any) -> tuple[dict[str, str], Sequence[SpanResult]]:
    """Wait for a result as long as there are workers that could still give it."""
    task = asyncio.ensure_future(future.result())
    none = 0
    while not (await asyncio.wait({task}, timeout=LOOK_S))[0]:
        none = 0 if client.scheduler_info()["workers"] else none + 1
        if none >= LOOKS:
            task.cancel()
            raise _lonely(address)
    found: tuple[dict[str, str], Sequence[SpanResult]] = task.result()
    return found


def _lonely(address: str) -> TokaidoError:
    return TokaidoError(
        f"Dask's scheduler at {address} has no workers",
        remedy=f"Start one, with `tokaido[cluster]` installed: dask worker {address}",
    )


def _versions() -> dict[str, str]:
    try:
        return {package: version(package) for package in SAME}
    except PackageNotFoundError as error:
        raise TokaidoError(f"{error} is used without being installed", remedy="Install it with pip") from error


def _compare(worker: str, mine: dict[str, str], theirs: dict[str, str]) -> None:
    for package, own in mine.items():
        if theirs.get(package) != own:
            other = theirs.get(package) or "none"
            raise TokaidoError(
                f"{worker} has {package} {other}, and here it is {own}: results could differ",
                remedy=f"Install {package} {own} there",
            )


def _work_off(chunk: Chunk) -> tuple[dict[str, str], list[SpanResult]]:
    """Work a chunk off, and say by which versions: workers may come while a sweep runs."""
    return _versions(), work_off(chunk)
