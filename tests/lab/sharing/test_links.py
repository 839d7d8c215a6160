"""A link of a server's station is moved through the server as it is at its ports: whole, alone, under one count."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido_testing.patience import patient
from tokaido_testing.served import address, say, served_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tokaido.lab.sharing import DeviceServer

    Connect = Callable[[str], hal.RemoteStation]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("link")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[DeviceServer]:
    with served_link(folder) as serving:
        yield serving


@pytest.fixture
def at(server: DeviceServer, folder: Path) -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda client: stack.enter_context(
            hal.Station.connect(address(server, folder, client), timeout=patient(5))
        )


@pytest.fixture
def book(folder: Path) -> Iterator[hal.LeaseBook]:
    made = hal.LeaseBook(folder / "keys" / "two_paths.sqlite")
    yield made
    made.close()


def untouched(station: hal.RemoteStation, book: hal.LeaseBook) -> bool:
    return station.holders() == () and book.inspect("link.field") is None and book.inspect("device.bob") is None


def test_an_operator_moves_a_link_and_everything_is_free_again(at: Connect, book: hal.LeaseBook) -> None:
    ann, vic = at("ann"), at("vic")
    link = ann.link("field")
    assert isinstance(link, hal.Link)
    assert set(link.paths) == {"A", "B"}
    steps: list[str] = []
    report = link.move("A", start=False, on_step=steps.append)
    assert (
        steps
        == [step.name for step in report.steps]
        == ["check", "prepare", "fence", "switch", "verify", "light", "align"]
    )
    assert link.path() == "A"
    assert link.transmitter.link().fencing_token == link.receiver.link().fencing_token == report.fencing_token
    assert untouched(ann, book)
    seen = vic.link("field")
    assert (seen.path(), seen.status(keys_left=False)) == ("A", hal.LinkStatus.PENDING)
    again = link.move("B", start=False)
    assert (again.from_path, again.to_path, again.fencing_token) == ("A", "B", report.fencing_token + 1)


def test_a_viewer_looks_at_a_link_and_moves_none(at: Connect, book: hal.LeaseBook) -> None:
    vic = at("vic")
    before = vic.link("field").path()
    with pytest.raises(hal.RefusedError, match="vic is a viewer here, and may only look"):
        vic.link("field").move("A" if before == "B" else "B")
    assert vic.link("field").path() == before
    assert untouched(vic, book)


def test_of_two_programs_that_move_one_link_the_second_is_refused(at: Connect, book: hal.LeaseBook) -> None:
    ann, ben = at("ann"), at("ben")
    refused: list[hal.LeaseHeldError] = []

    def meanwhile(step: str) -> None:
        if step != "switch":
            return
        for move in (lambda: ben.link("field").move("A"), lambda: book.acquire("link.field", "at the ports", 5)):
            with pytest.raises(hal.LeaseHeldError) as told:
                move()
            refused.append(told.value)
        with pytest.raises(hal.LeaseHeldError, match="link field is moved"):
            ben.device("east", hal.OpticalSwitch).disconnect_all()

    ann.link("field").move("A", start=False, on_step=meanwhile, holder="the night shift")
    assert [error.holder.startswith("ann (") for error in refused] == [True, True]
    assert "the night shift" in refused[0].holder
    assert 0 < refused[0].remaining_s <= 30
    assert untouched(ben, book)


def test_a_device_that_somebody_holds_is_in_the_way_of_a_move_before_anything_is_touched(
    at: Connect, book: hal.LeaseBook
) -> None:
    ann, ben = at("ann"), at("ben")
    link = ann.link("field")
    before = link.path()
    with ben.held("east", "a scan of its ports"):
        with pytest.raises(hal.LeaseHeldError, match=r"east is held by ben .*a scan of its ports"):
            link.move("A" if before == "B" else "B")
        assert [held.device for held in ann.holders()] == ["east"]
        assert book.inspect("link.field") is None
    assert link.path() == before


def test_a_hold_that_the_mover_has_already_stays_with_him(at: Connect, book: hal.LeaseBook) -> None:
    ann = at("ann")
    with ann.held("west", "the whole evening", seconds=600):
        ann.link("field").move("A", start=False)
        (held,) = ann.holders()
        assert (held.device, held.why) == ("west", "the whole evening")
    assert untouched(ann, book)


def test_who_lost_a_switch_in_the_middle_orders_it_no_more(at: Connect, book: hal.LeaseBook) -> None:
    ann, ben = at("ann"), at("ben")
    ann.link("field").move("A", start=False)

    def take(step: str) -> None:
        if step == "switch":
            ben.acquire("west", "the fibre burns", take_over=True)

    with pytest.raises(hal.MoveError) as failed:
        ann.link("field").move("B", start=False, on_step=take)
    assert (failed.value.step, failed.value.rolled_back) == ("switch", True)
    assert "west was taken over by ben" in str(failed.value)
    assert ben.device("west", hal.OpticalSwitch).connections() == {1: 1}  # as on A
    ben.release("west")
    ann.link("field").move("A", start=False)
    assert untouched(ann, book)


def test_a_lease_that_was_lost_ends_a_move(at: Connect, book: hal.LeaseBook) -> None:
    ann = at("ann")

    def lose(step: str) -> None:
        if step == "switch":
            found = book.inspect("link.field")
            assert found is not None
            names = ann.links["field"].lease_names
            hal.Lease(book, names, found.holder, found.fencing_token, 30).release()

    with pytest.raises(hal.MoveError, match=r"the lease of device.* ran out") as failed:
        ann.link("field").move("B", start=False, on_step=lose)
    assert failed.value.step == "switch"
    ann.link("field").move("B", start=False)
    assert untouched(ann, book)


def test_a_lease_is_kept_and_ended_by_the_program_that_has_it(
    server: DeviceServer, folder: Path, book: hal.LeaseBook
) -> None:
    lease = {"do": "lease", "link": "field", "holder": "raw", "seconds": 20.0}
    assert say(server, folder, "vic", **lease)["code"] == "ROLE"
    assert say(server, folder, "ann", **(lease | {"link": "fild"}))["error"] == "ConfigurationError"
    assert say(server, folder, "ann", **(lease | {"seconds": 0.0}))["error"] == "LeaseError"
    token = say(server, folder, "ann", **lease)["fencing_token"]
    keep = {"do": "keep_lease", "link": "field", "fencing_token": token, "seconds": 60.0, "renew": True}
    assert say(server, folder, "ben", **keep)["error"] == "LeaseLostError"
    assert say(server, folder, "ann", **(keep | {"fencing_token": token - 1}))["error"] == "LeaseLostError"
    assert say(server, folder, "ann", **keep)["seconds"] == pytest.approx(60, abs=patient(1))
    end = {"do": "end_lease", "link": "field", "fencing_token": token}
    assert "error" not in say(server, folder, "ben", **end)
    assert book.inspect("link.field") is not None
    say(server, folder, "ann", **end)
    assert book.inspect("link.field") is None
    assert say(server, folder, "ann", **keep)["error"] == "LeaseLostError"


def test_a_block_is_waited_for_and_keys_stay_on_their_own_channel(at: Connect) -> None:
    link = at("ann").link("field")
    for unit in (link.transmitter, link.receiver):
        unit.block_bits = 100_000
    link.move("A", start=True)
    assert link.status(keys_left=False) in {hal.LinkStatus.ACTIVE, hal.LinkStatus.PENDING}
    assert link.receiver.wait_for_block(timeout=patient(20)).number >= 0
    with pytest.raises(hal.UnsupportedError, match="key channel"):
        list(link.receiver.key_blocks(0.1))
    link.move("B", start=False)


def test_a_link_without_a_lease_file_is_refused_as_at_the_ports(tmp_path: Path) -> None:
    with (
        served_link(tmp_path, without='lease_file = "keys/two_paths.sqlite"') as bare,
        hal.Station.connect(address(bare, tmp_path)) as ann,
    ):
        with pytest.raises(hal.ConfigurationError, match=r"cannot be moved without leases.*server's station"):
            ann.link("field").move("A")
        with pytest.raises(hal.ConfigurationError, match="has no path 'C'"):
            ann.link("field").move("C")
        with pytest.raises(hal.ConfigurationError, match="no link 'fild'"):
            ann.link("fild")
        assert ann.holders() == ()


def test_one_end_of_a_link_crosses_the_server_with_its_lease(tmp_path: Path) -> None:
    end = "unit = 'bob'\nneighbour = 'otemachi'\npeer = 'TKTX0001'\nlease_file = 'east.sqlite'\n"
    split = "transmitter = 'alice'\nreceiver = 'bob'\nreceiver_switches = ['east']\n"
    paths = "paths.C = { west = [[3, 3]], east = [[3, 3]] }\n"
    with (
        served_link(
            tmp_path, more=f"[links.far]\n{end}paths.A = {{ east = [[1, 1]] }}\n[links.split]\n{split}{paths}"
        ) as serving,
        hal.Station.connect(address(serving, tmp_path)) as ann,
        hal.Station.connect(address(serving, tmp_path, "ben")) as ben,
    ):
        half = ann.half_link("far")
        assert isinstance(half, hal.HalfLink)
        assert (half.neighbour, half.peer, dict(half.paths)) == ("otemachi", "TKTX0001", {"A": {"east": ((1, 1),)}})
        assert half.path() is None
        half.switches["east"].connect(1, 1)
        ann.release("east")
        assert half.path() == "A"
        assert half.status(keys_left=False) is hal.LinkStatus.PENDING
        with pytest.raises(hal.ConfigurationError, match=r"one end of link far alone.*half_link\('far'\)"):
            ann.link("far")
        assert [list(one.switches) for one in ann.link("field").halves] == [["west", "east"], []]
        assert [list(one.switches) for one in ann.link("split").halves] == [["west"], ["east"]]
        lease = half.lease(holder="the node")
        assert lease.names == ("device.bob", "device.east", "link.far")
        assert sorted(held.device for held in ben.holders()) == ["bob", "east"]
        with pytest.raises(hal.LeaseHeldError, match="the node"):
            ben.half_link("far").lease()
        lease.release()
        assert ben.holders() == ()
