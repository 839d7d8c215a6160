"""What a person sees: the `tokaido` command. It composes what the other rooms offer and owns no logic of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for what went wrong, 2 for what was asked wrongly."""
    from tokaido.console._output import standing_output  # noqa: PLC0415 - importing the room costs nothing

    with standing_output():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    import sys  # noqa: PLC0415

    from tokaido.console._app import MISUSE, app  # noqa: PLC0415
    from tokaido.console._one_command import cut  # noqa: PLC0415
    from tokaido.console._output import print_json_error, report  # noqa: PLC0415

    words = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in words
    try:
        try:
            ended = cut(app, words)(args=words, prog_name="tokaido", standalone_mode=not as_json)
        finally:
            sys.stdout.flush()  # an error is told here, and not when Python ends
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except MISUSE as error:  # by programs alone: for people, Typer prints it and ends
        print_json_error(
            {"type": type(error).__name__, "message": error.format_message(), "exit_code": error.exit_code}
        )
        return int(error.exit_code)
    except Exception as error:
        code = report(error, as_json=as_json)
        if code is None:
            raise
        return code
    return ended if isinstance(ended, int) else 0
