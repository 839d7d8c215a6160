"""A chain of emulated repeaters as a station file has it: at the shell, in one thread, and many in one process."""

from __future__ import annotations

import json
import re
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation, SteppedClock, launch
from tokaido_testing.console_runs import run_console
from tokaido_testing.patience import patient

CHAIN = Path(__file__).parents[3] / "examples" / "chain.toml"
MANY = 30


def test_one_is_read_at_the_shell(tmp_path: Path) -> None:
    with launch("repeater.node", serial_number="maibara", neighbours="gifu,otsu", seed=1) as emulator:
        text = CHAIN.read_text(encoding="utf-8")
        here = re.sub(r'"zmq:[^"]*maibara[^"]*"', f'"{emulator.resources["control"]}"', text)
        assert here != text
        (tmp_path / "chain.toml").write_text(here, encoding="utf-8")
        shown = run_console("read", f"{tmp_path}/chain.toml#maibara", "--json")
        assert shown.code == 0, shown.err
        told = json.loads(shown.out)
        assert "RELAYING" in json.dumps(told)
        one = run_console("read", f"{tmp_path}/chain.toml#maibara", "links[1].neighbour")
        assert "otsu" in one.out


def test_the_example_runs_in_one_thread_and_repeats_itself() -> None:
    def run() -> list[tuple[str, int, int]]:
        clock = SteppedClock()
        with EmulatedStation.from_file(CHAIN, clock=clock, seed=7) as station:
            clock.wait(120.0)
            nodes = [station.device(name, hal.RepeaterNode) for name in ("gifu", "maibara", "otsu")]
            return [(node.links[0].neighbour, node.pairs[0].supplied, node.links[1].spent) for node in nodes]

    first = run()
    assert [neighbour for neighbour, _, _ in first] == ["nagoya", "gifu", "maibara"]
    assert all(supplied > 40 and spent > 0 for _, supplied, spent in first)
    assert run() == first


def test_its_alarms_are_alarms_of_the_station(tmp_path: Path) -> None:
    with launch("repeater.node", serial_number="maibara", seed=1, speed=40.0) as emulator:
        text = f'[devices.maibara]\ndriver = "repeater.node"\ncontrol = "{emulator.resources["control"]}"\n'
        station = hal.Station.from_text(f'[station]\nname = "chain"\non_exit = "keep"\n{text}', base=tmp_path)
        with station, station.alarms(poll=0.05) as watch:
            emulator.add_fault("neighbour_lost")
            heard = next(iter(watch))
            assert (heard.device, heard.code, heard.raised) == ("maibara", "NEIGHBOUR_SILENT:west", True)
            assert heard.text == "nothing was heard for 10 s"
            emulator.remove_fault("neighbour_lost")
            heard = next(iter(watch))
            assert (heard.code, heard.raised) == ("NEIGHBOUR_SILENT:west", False)


def test_many_in_one_process_take_no_threads_and_answer() -> None:
    def of_this_process() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/task").iterdir()))

    with ExitStack() as stack:
        first = stack.enter_context(launch("repeater.node", serial_number="n-first", seed=0))
        hal.RepeaterNode.open("repeater.node", timeout=patient(5.0), **first.resources).close()
        before = of_this_process()
        nodes = [stack.enter_context(launch("repeater.node", serial_number=f"n{i}", seed=i)) for i in range(MANY)]
        assert of_this_process() == before
        for i, emulator in enumerate(nodes):
            with hal.RepeaterNode.open("repeater.node", timeout=patient(10.0), **emulator.resources) as node:
                assert node.identity().serial_number == f"n{i}"
                assert node.state() is hal.RepeaterState.RELAYING


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"neighbours": "a,a"}, "no two nodes have one name"),
        ({"neighbours": "maibara"}, "no two nodes have one name"),
        ({"neighbours": "a b"}, "names are 1 to 32"),
        ({"preset": "no-such"}, "no link can be calculated"),
        ({"distance_km": 500.0}, "gives no key over 500 km"),
        ({"demand": -1.0}, "0 to 100 keys"),
        ({"stock": 0}, "1 to 4096 keys"),
        ({"roles": "king"}, "roles: there are"),
    ],
)
def test_options_that_do_not_fit_are_told(options: dict[str, object], mistake: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=mistake):
        launch("repeater.node", model_options=options)
