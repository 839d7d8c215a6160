"""Certificates for all tests of a worker, and two key managers for each test that asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido_testing.key_managers import KeyManagers, key_managers, make_pki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("certificates") / "pki")


@pytest.fixture
def managers(certificates: Path) -> Iterator[KeyManagers]:
    with key_managers(certificates) as found:
        yield found
