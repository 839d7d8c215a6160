"""Logs of a node: one JSON object a line, for journald and whatever reads it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

LONGEST: Final = 4000
"""Longest message in characters: a device may say much."""


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON: `time`, `level`, `logger`, `message`, and `error` with its traceback.

    Arguments are put into the message as they show themselves, which keys do not: their `repr` has a length alone.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:LONGEST],
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)[-LONGEST:]
        return json.dumps(told, ensure_ascii=False, default=repr)


def log_as_json(level: int = logging.INFO) -> logging.Handler:
    """Write all logs of Tokaido to stderr as JSON, and return the handler."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("tokaido")
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    return handler
