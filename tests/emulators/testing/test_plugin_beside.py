"""The plugin beside others that a user has: pytest-asyncio, pytest-mock, pytest-xdist."""

from __future__ import annotations

import pytest

from tokaido_testing.user_tests import run

pytest_plugins = ["pytester"]


def test_asyncio_uses_devices_in_a_world_where_time_passes_in_a_thread(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        import asyncio
        @pytest.mark.tokaido_in_thread(speed=100)
        async def test_opened_by_the_world(tokaido_world, tokaido_bench):
            for name, driver in (("alice", "toshiba.transmitter"), ("bob", "nec.receiver")):
                tokaido_world.emulate(name, driver)
            tokaido_world.start()
            async with (
                hal.aio.open(tokaido_world.open, hal.Transmitter, "alice", "toshiba.transmitter") as alice,
                hal.aio.open(tokaido_world.open, hal.Receiver, "bob", "nec.receiver") as bob,
            ):
                states = await asyncio.gather(alice.ask(hal.Unit.state), bob.ask(hal.Unit.state))
                assert states == [hal.UnitState.OFF, hal.UnitState.OFF]
                blocks = [block async for block in bob.key_blocks(0)]
                assert blocks == []
            assert any(" bob < " in record for record in tokaido_world.records)

        @pytest.mark.tokaido_in_thread(speed=100)
        async def test_beside_the_link_of_the_fixture(qkd_link):
            state = await asyncio.to_thread(qkd_link.receiver.state)
            assert state is hal.UnitState.STANDBY

        async def test_sync_drivers_in_the_thread_of_the_loop_keep_stepped_time(qkd_link, tokaido_clock):
            begin_ns = tokaido_clock.monotonic_ns()
            await asyncio.sleep(0)
            assert qkd_link.receiver.state() is hal.UnitState.STANDBY
            tokaido_clock.wait(60)
            assert tokaido_clock.monotonic_ns() - begin_ns >= 60e9
        """,
        "-p",
        "no:xdist",
        asyncio=True,
    ).assert_outcomes(passed=3)


def test_asyncio_in_stepped_time_is_told_what_to_do(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        async def test_device(tokaido_world):
            tokaido_world.emulate("bob", "toshiba.receiver")
            tokaido_world.start()
            async with hal.aio.open(tokaido_world.open, hal.Receiver, "bob", "toshiba.receiver") as bob:
                await bob.ask(hal.Unit.state)
        """,
        asyncio=True,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a stepped clock is for one thread, and tokaido-device_0*mark it tokaido_in_thread*"])


def test_mocks_take_the_place_of_what_a_program_calls(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        def test_spy(mocker, receiver):
            spy = mocker.spy(type(receiver), "alarms")
            assert receiver.alarms() == ()
            spy.assert_called_once_with(receiver)
        def test_patch(mocker, receiver):
            mocker.patch.object(type(receiver), "state", return_value=hal.UnitState.FAULT)
            assert receiver.state() is hal.UnitState.FAULT
        def test_it_is_undone(receiver):
            assert receiver.state() is hal.UnitState.OFF
        """,
    ).assert_outcomes(passed=3)


@pytest.mark.thorough
def test_workers_share_the_seed_and_nothing_else(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        @pytest.mark.parametrize("number", range(4))
        def test_it(receiver, tokaido_seed, number):
            assert receiver.identity().serial_number == "TKRX0001"
            assert tokaido_seed == 12
            assert os.environ["PYTEST_XDIST_WORKER"] in ("gw0", "gw1")
        """,
        "-n2",
        "--tokaido-seed=12",
    )
    result.assert_outcomes(passed=4)
