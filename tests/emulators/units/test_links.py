"""The links of one unit: which is in force, who may select one, and a pre-shared key for each."""

from __future__ import annotations

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import Refusal, parse_link
from tokaido.hal import KeyBlockFacts, KeyBlockInfo, KeyMaterial
from tokaido_testing.console import Host, Program

SETUP_STATES = ("OFF", "WARMUP", "AUTH", "STANDBY")
STATES = (
    *SETUP_STATES,
    "SELFTEST",
    "ALIGN",
    "RUN",
    "TRACK",
    "DEGRADED",
    "REALIGN",
    "FAULT",
    "SECURITY_HOLD",
    "ZEROIZE",
)
KEY = bytes(range(256)) * 16
OTHER_KEY = bytes(reversed(range(256))) * 16
NORTH = {"peer": "TKRX0001", "path": "north"}
SOUTH = {"peer": "TKRX0001", "path": "south"}
Kind = type[TransmitterModel] | type[ReceiverModel]


class Unit:
    """A unit with a program at its console and a host at its key channel."""

    def __init__(self, state: str = "AUTH", kind: Kind = TransmitterModel) -> None:
        self.model = kind()
        self.model.prepare(state)
        self.program = Program(self.model)
        self.host = Host(self.model)

    @property
    def state(self) -> str:
        return self.program.data("STAT?").partition(",")[0]

    def load(self, key: bytes, **link: str) -> None:
        assert self.host.ask("load_psk", key, **link)["loaded"] == 4096

    def listed(self) -> dict[tuple[str, str], int]:
        rows = [row.split(",") for row in self.program.data("LNK:LIST?").split(";") if row]
        return {(peer, path): int(bits) for peer, path, bits in rows}


@pytest.fixture
def unit() -> Unit:
    return Unit()


# --- selecting ------------------------------------------------------------------------------------------------------


def test_at_delivery_the_link_is_whoever_is_there(unit: Unit) -> None:
    assert unit.program.data("LNK?") == "-,-,0"
    assert unit.program.ask("LNK:LIST?") == "OK"


def test_a_link_with_a_key_is_selected_and_answered(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    assert unit.program.data("LNK TKRX0001,north") == "TKRX0001,north,0"
    assert unit.program.data("LNK?") == "TKRX0001,north,0"
    assert unit.program.data("LNK -,-,3") == "-,-,3"


def test_a_link_without_a_key_is_refused(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    refusal = "ERR 32 REFUSED no pre-shared key is loaded for TKRX0001 over south"
    assert unit.program.ask("LNK TKRX0001,south,9") == refusal
    assert unit.program.data("LNK?") == "-,-,0"


@pytest.mark.parametrize("kind", [TransmitterModel, ReceiverModel])
@pytest.mark.parametrize("state", STATES)
def test_a_link_is_selected_in_setup_states_only(state: str, kind: Kind) -> None:
    unit = Unit(state, kind)
    reply = unit.program.ask("LNK -,-")
    if state in SETUP_STATES:
        assert reply == "OK -,-,0"
        assert unit.state == ("AUTH" if state == "STANDBY" else state)
    else:
        assert reply.startswith(f"ERR 30 STATE {state}: LNK is allowed in OFF, WARMUP, AUTH, STANDBY")
        assert unit.state == state


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ("", "21 ARGUMENT"),
        (" TKRX0001", "21 ARGUMENT"),
        (" TKRX0001,north,1,2", "21 ARGUMENT"),
        (" TKRX0001,north,x", "21 ARGUMENT"),
        (" TKRX0001,north,", "21 ARGUMENT"),
        (" TKRX0001,north,1.0", "21 ARGUMENT"),
        (" TKRX0001,north,-1", "22 RANGE"),
        (" TKRX0001,north,9007199254740992", "22 RANGE"),
        (" TKRX0001,north," + "9" * 200, "22 RANGE"),
        (" ABC,north", "22 RANGE"),
        (" tkrx0001,north", "22 RANGE"),
        (f" {'A' * 25},north", "22 RANGE"),
        (" TKRX0001,-", "22 RANGE"),
        (" -,north", "22 RANGE"),
        (" TKRX0001,", "22 RANGE"),
        (f" TKRX0001,{'a' * 25}", "22 RANGE"),
        (" TKRX0001,a/b", "22 RANGE"),
    ],
)
def test_what_is_no_link_is_told_by_its_error(unit: Unit, argument: str, error: str) -> None:
    unit.load(KEY, **NORTH)
    assert unit.program.ask(f"LNK{argument}").startswith(f"ERR {error} ")
    assert unit.program.data("LNK?") == "-,-,0"


def test_errors_come_in_the_order_of_their_numbers() -> None:
    unit = Unit("RUN")
    assert unit.program.ask("LNK TKRX0001,a/b").startswith("ERR 22 RANGE ")
    assert unit.program.ask("LNK TKRX0001,nowhere").startswith("ERR 30 STATE ")


@pytest.mark.parametrize(
    ("peer", "path"), [("ABCD", "a"), ("A-Z0" * 6, "a.B_c-9" + "x" * 17), ("-", "-"), ("----", "--")]
)
def test_names_at_their_limits_are_names(peer: str, path: str) -> None:
    assert parse_link(peer, path) == (peer, path)


@pytest.mark.parametrize("path", ["a b", "a,b", "ä", "a\n", "a|b", ""])
def test_other_characters_are_no_path(path: str) -> None:
    with pytest.raises(Refusal, match="path is"):
        parse_link("TKRX0001", path)


def test_a_person_selects_a_path_with_capitals_and_small_letters(unit: Unit) -> None:
    unit.load(KEY, peer="TKRX0001", path="Nagoya-b")
    unit.model.receive("control", b"lnk TKRX0001,Nagoya-b\r")
    assert "TKRX0001,Nagoya-b,0" in unit.model.take("control").decode().split("\r\n")
    assert unit.program.data("LNK?") == "TKRX0001,Nagoya-b,0"


def test_tel_lists_no_link(unit: Unit) -> None:
    unit.load(KEY)
    assert "LNK" not in unit.program.data("TEL?")
    assert not [name for name in unit.model.telemetry() if name.startswith("LNK")]


# --- fencing --------------------------------------------------------------------------------------------------------


def test_a_fencing_number_only_rises(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    assert unit.program.data("LNK TKRX0001,north,7") == "TKRX0001,north,7"
    assert unit.program.ask("LNK -,-,3") == "ERR 32 REFUSED fencing token 3 is below 7"
    assert unit.program.data("LNK?") == "TKRX0001,north,7"
    assert unit.program.data("LNK -,-") == "-,-,7"
    assert unit.program.data("LNK -,-,7") == "-,-,7"
    assert unit.program.data("LNK -,-,9007199254740991") == "-,-,9007199254740991"


def test_link_and_fence_outlive_power_off(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    unit.program.data("LNK TKRX0001,north,7")
    unit.program.data("PWR OFF")
    assert unit.program.data("LNK?") == "TKRX0001,north,7"
    unit.program.data("PWR ON")
    unit.program.pass_time(60)
    assert unit.program.data("LNK?") == "TKRX0001,north,7"
    assert unit.program.ask("LNK -,-,6").startswith("ERR 32 REFUSED ")


# --- what it does to the unit ---------------------------------------------------------------------------------------


def test_selecting_makes_the_unit_safe_and_takes_standby_to_auth() -> None:
    for kind in (TransmitterModel, ReceiverModel):
        unit = Unit("STANDBY", kind)
        unit.model.peer.imagined = False
        aligned = [unit.model.aligned]
        assert unit.program.data("LNK -,-") == "-,-,0"
        aligned += [unit.model.aligned]
        assert (unit.state, aligned) == ("AUTH", [True, False])
        if kind is TransmitterModel:
            assert unit.program.data("EMI?") == "0"
            assert unit.program.data("VOA:ATT?") == "60"
        else:
            assert unit.program.data("SHT?") == "CLOSED"
            assert unit.program.data("DET0:BIAS?") == "0"


def test_from_standby_the_unit_comes_back_by_itself() -> None:
    unit = Unit("STANDBY")
    unit.program.data("LNK -,-")
    seen = [unit.state]
    for _ in range(450):
        unit.program.pass_time(0.1)
        seen += [unit.state] if unit.state != seen[-1] else []
    assert seen == ["AUTH", "ALIGN", "STANDBY"]
    assert unit.model.aligned


def test_in_auth_the_proof_is_forgotten(unit: Unit) -> None:
    unit.load(KEY)
    unit.model.peer.proved = True
    unit.program.data("LNK -,-")
    assert not unit.model.peer.proved
    assert unit.state == "AUTH"


# --- keys -----------------------------------------------------------------------------------------------------------


def test_each_link_has_a_key_and_pads_of_its_own(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    unit.load(OTHER_KEY, **SOUTH)
    assert unit.program.data("PSK?") == "0"
    unit.program.data("LNK TKRX0001,north")
    whole = int(unit.program.data("AUTH:LEFT?"))
    assert unit.listed() == {("TKRX0001", "north"): whole, ("TKRX0001", "south"): whole}
    pool = unit.model.links.pool
    assert pool is not None
    pool._spend()
    assert unit.listed() == {("TKRX0001", "north"): whole - 128, ("TKRX0001", "south"): whole}
    assert unit.program.data("AUTH:LEFT?") == str(whole - 128)
    unit.program.data("LNK TKRX0001,south")
    assert unit.program.data("AUTH:LEFT?") == str(whole)
    assert unit.program.data("PSK?") == "1"
    unit.program.data("LNK -,-")
    assert (unit.program.data("PSK?"), unit.program.data("AUTH:LEFT?")) == ("0", "0")


def test_one_key_for_two_links_is_refused(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    for names in (SOUTH, {"peer": "TKRX0002", "path": "north"}, {"peer": "-", "path": "-"}, {}):
        reply = unit.host.ask("load_psk", KEY, **names)
        assert (reply["code"], reply["text"]) == ("RANGE", "this pre-shared key is loaded for another link")
    assert list(unit.listed()) == [("TKRX0001", "north")]
    unit.load(KEY, **NORTH)


def test_a_key_belongs_to_its_link_even_after_it_was_erased_or_replaced(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    unit.load(OTHER_KEY, **NORTH)
    assert unit.host.code("load_psk", KEY, **SOUTH) == "RANGE"
    unit.program.data("SEC ZEROIZE,TKTX0001")
    unit.program.pass_time(1.1)
    assert unit.host.code("load_psk", OTHER_KEY, **SOUTH) == "RANGE"
    unit.load(KEY, **NORTH)


def test_a_key_loaded_again_goes_on_where_the_pads_of_its_link_were_left(unit: Unit) -> None:
    unit.load(KEY, **NORTH)
    unit.load(OTHER_KEY, **SOUTH)
    unit.program.data("LNK TKRX0001,north")
    pool = unit.model.links.pool
    assert pool is not None
    first = pool._spend()
    before = unit.listed()
    unit.program.data("SEC ZEROIZE,TKTX0001")
    assert unit.listed() == {}
    unit.program.pass_time(1.1)
    assert unit.program.data("LNK?") == "TKRX0001,north,0"
    unit.load(OTHER_KEY, **SOUTH)
    unit.load(KEY, **NORTH)
    lost = 3  # the rest of a reservation of four pads: marks never go back
    assert unit.listed() == before | {("TKRX0001", "north"): before["TKRX0001", "north"] - 128 * lost}
    pool = unit.model.links.pool
    assert pool is not None
    assert pool._spend()[0] == first[0] + 1 + lost


@pytest.mark.parametrize("names", [{"peer": "TKRX0001"}, {"path": "north"}, {"peer": "TKRX0001", "path": 3}])
def test_a_link_is_named_whole(unit: Unit, names: dict[str, object]) -> None:
    assert unit.host.code("load_psk", KEY, **names) == "MALFORMED"


@pytest.mark.parametrize("names", [("TKRX", ""), ("x", "north"), ("-", "north"), ("TKRX0001", "-"), ("TKRX0001", "ö")])
def test_a_name_of_another_form_is_out_of_range(unit: Unit, names: tuple[str, str]) -> None:
    assert unit.host.code("load_psk", KEY, peer=names[0], path=names[1]) == "RANGE"
    assert unit.listed() == {}


@pytest.mark.parametrize("state", STATES)
def test_the_key_of_another_link_is_loaded_in_any_powered_state_or_off(state: str) -> None:
    unit = Unit(state)
    names = {"peer": "TKRX0009", "path": "north"}
    if state == "ZEROIZE":
        assert unit.host.code("load_psk", OTHER_KEY, **names) == "STATE"
        return
    session = unit.program.data("SES?")
    unit.load(OTHER_KEY, **names)
    assert unit.state == state
    assert unit.program.data("SES?") == session
    here = unit.host.ask("load_psk", KEY, peer="-", path="-")
    assert here["ok"] is (state in ("OFF", "SELFTEST", "WARMUP", "AUTH"))


def test_a_key_for_another_link_leaves_the_proof_of_this_one(unit: Unit) -> None:
    unit.load(KEY)
    unit.model.peer.proved = True
    unit.load(OTHER_KEY, **SOUTH)
    assert unit.model.peer.proved
    unit.load(bytes(4096))
    assert not unit.model.peer.proved


def test_a_unit_has_room_for_the_keys_of_32_links_and_lists_them_in_one_line(unit: Unit) -> None:
    names = [{"peer": f"{i:024d}", "path": f"{i:024d}"} for i in range(33)]
    for i, name in enumerate(names[:32]):
        unit.load(bytes([i]) * 4096, **name)
    assert unit.host.code("load_psk", bytes([32]) * 4096, **names[32]) == "RANGE"
    unit.load(bytes([33]) * 4096, **names[0])
    assert len(unit.listed()) == 32
    assert len(unit.program.data("LNK:LIST?")) < 2000


def test_no_key_shows_in_what_holds_it(unit: Unit) -> None:
    unit.load(b"0123456789abcdef" * 256, **NORTH)
    texts = [repr(unit.model.links), repr(vars(unit.model.links)), repr(unit.listed())]
    assert not [text for text in texts if "0123456789abcdef" in text]


# --- blocks ---------------------------------------------------------------------------------------------------------


def test_a_block_says_which_link_made_it(unit: Unit) -> None:
    for number, names in enumerate([{}, NORTH]):
        key = KeyMaterial(bytes(32))
        info = KeyBlockFacts("00" * 8, number, 256, "lim2014", "chernoff", 1e-10, False, True)
        info = KeyBlockInfo.of(info, "TKTX0001", **names)
        unit.model.store.add(info, key)
    offered = unit.host.ask("draw", max=2, wait_ms=0)["blocks"]
    assert [(block["peer"], block["path"]) for block in offered] == [("-", "-"), ("TKRX0001", "north")]
