"""The command `examples`: short programs that come with Tokaido, to read and to copy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokaido.console._options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Mapping


MADE: Final = ("__pycache__", "keys", "pki", "state")
"""What is made where an example runs, and is nobody else's."""


def folder() -> Path:
    """Return where the examples are: beside this module in an installed package, else in the project's folder."""
    installed = Path(__file__).parent / "examples"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "examples"


def present() -> dict[str, str]:
    """Return what every example shows, by the name of its file."""
    found = sorted(
        path for path in folder().iterdir() if path.suffix in (".py", ".toml") or (path / "README.md").is_file()
    )
    return {path.name: _first_line(path) for path in found}


def _first_line(path: Path) -> str:
    path = path / "README.md" if path.is_dir() else path
    line = path.read_text(encoding="utf-8").splitlines()[0].strip('#" ')
    return line.partition(": `")[0].partition(": python ")[0].rstrip(".:")


def examples(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Examples to copy; none lists them.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIRECTORY", help="Where to copy them.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """List the examples, or copy some of them here."""
    from tokaido.console._output import print_json, print_table  # noqa: PLC0415

    known = present()
    if not names:
        if as_json:
            print_json({"folder": str(folder()), "examples": known})
        else:
            print_table(("example", "shows"), list(known.items()))
        return
    copied = copy(names, output, known)
    if as_json:
        print_json({"copied": [str(path) for path in copied]})
    else:
        print(*copied, sep="\n")


def copy(names: list[str], output: Path, known: Mapping[str, str]) -> list[Path]:
    """Copy examples into a directory and return the copies; nothing is copied if one of them cannot be.

    A folder comes with the files in it, but those that a run of it made. A station file that one of them opens comes
    with it, unless the directory has a file of that name.

    Raises:
        ConfigurationError: An example or the directory does not exist, or a file of that name does: all mistakes.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - for who copies

    import tokaido.hal as hal  # noqa: PLC0415
    from tokaido.hal.files import write_new  # noqa: PLC0415

    unknown = [name for name in names if name not in known]
    nearest = {name: get_close_matches(name, list(known), n=1) for name in unknown}
    mistakes = [
        f"{name}: no example has this name" + (f". Did you mean {near[0]}?" if near else "")
        for name, near in nearest.items()
    ]
    mistakes += [f"{output}: not a directory"] if not output.is_dir() else []
    mistakes += [f"{output / name}: exists already" for name in names if (output / name).exists()]
    if mistakes:
        raise hal.ConfigurationError("nothing was copied", mistakes=tuple(mistakes))
    folders = [name for name in names if (folder() / name).is_dir()]
    files = [name for name in names if name not in folders]
    opened = {file for name in files for file in _station_files(folder() / name)}
    files += sorted(file for file in opened - {*files} if not (output / file).exists())
    for name in files:
        write_new(output / name, (folder() / name).read_bytes())
    for name in folders:
        shutil.copytree(folder() / name, output / name, ignore=shutil.ignore_patterns(*MADE))
    return [output / name for name in (*folders, *files)]


def _station_files(example: Path) -> list[str]:
    """Return the station files beside an example that it opens."""
    return re.findall(r'with_name\("([^"]+)"\)', example.read_text(encoding="utf-8"))
