"""What holds for tests that run a user's tests."""

from __future__ import annotations

from tokaido_testing.user_tests import imports_stay

__all__ = ["imports_stay"]
