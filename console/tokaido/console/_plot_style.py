"""How all pictures look and how they are written: the same bytes whenever the same thing is drawn."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.hal.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, Color Universal Design (2008), without the yellow that white paper swallows."""
LINES: Final = ("-", "--", "-.", ":")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
GREY: Final = "#555555"
SUFFIXES: Final = (".png", ".svg")
_LOOK: Final[Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.family": "DejaVu Sans",  # comes with matplotlib: every machine draws the same
    "font.size": 9,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "savefig.dpi": 110,
    "svg.hashsalt": "tokaido",
    "timezone": "UTC",
}


def check_output(path: Path) -> None:
    """Raise unless matplotlib is there and `path` names a kind of picture.

    Raises:
        ConfigurationError: The name ends in something else.
        TokaidoError: matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise hal.ConfigurationError(
            f"{path} names no kind of picture that can be written", remedy=f"End it in {' or '.join(SUFFIXES)}"
        )
    require_matplotlib()


def require_matplotlib() -> None:
    """Raise unless matplotlib is there.

    Raises:
        TokaidoError: It is not installed.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415 - pictures alone need it
    except ImportError as error:
        raise hal.TokaidoError(
            "pictures need matplotlib, which is not installed", remedy="Install it with: pip install 'tokaido[plot]'"
        ) from error


@contextmanager
def house_look() -> Iterator[None]:
    """Draw in the look of all our pictures; the caller's own settings come back afterwards."""
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context():
        mpl.rcdefaults()  # a user's matplotlibrc must not decide how documentation looks
        mpl.rcParams.update(_LOOK)
        yield


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG by the file's name, without date and versions in it.

    Raises:
        TokaidoError: The file cannot be written.
    """
    kind = path.suffix.lower()[1:]
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    drawn = BytesIO()
    with house_look():
        figure.savefig(drawn, format=kind, metadata=metadata)
    write_whole(path, drawn.getvalue())
