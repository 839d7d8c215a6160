"""Move a link to fibre B when fibre A is lost.

    tokaido emulate examples/two_paths.toml       # in one terminal, where you type `cut A` after a while
    python examples/fail_over.py                  # in another one

The units get 10 emulated seconds a second, so an alignment takes some seconds. With `mend A`, it can be run again.
"""

from __future__ import annotations

from pathlib import Path

import tokaido.hal as hal

STATION = Path(__file__).with_name("two_paths.toml")


def main(file: Path = STATION) -> None:
    """Bring the link up on A, wait until its light is lost, and go on over B."""
    with hal.Station.from_file(file) as station:
        link = station.link("field")
        print(link.move("A", start=True), flush=True)
        loss = link.wait_for_loss(timeout=3600)
        print(f"{loss.reason}: the light is lost; moving to B", flush=True)
        print(link.move("B", on_step=print), flush=True)


if __name__ == "__main__":
    main()
