"""Clients of ETSI GS QKD 014 that others wrote, as programs and as libraries, against our server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tokaido_testing.key_managers import KeyManagers

EXPLAINED = {
    "error_contract_404": (
        "warn",
        "clause 5.4 and table 8 know 200, 400, 401 and 503; an id that is not there is 400 with its message",
    ),
    "dec_keys_roundtrip": (
        "fail",
        "it asks, with the master's certificate, for the master's own key: clause 5.4 gives it to slaves alone",
    ),
}
"""Probes of `qkdsec doctor` that do not pass, how they end, and why that is right."""
PASSED = {
    "reachability",
    "status_fields",
    "enc_keys_get",
    "enc_keys_post",
    "enc_keys_caps",
    "extensions_accepted",
    "error_contract_400",
    "latency",
}


def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    path = str(Path(sys.executable).with_name(name))
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=50, check=False, env=clean)


def test_qkdsec_doctor_finds_nothing_that_the_standard_does_not_explain(managers: KeyManagers) -> None:
    files = managers.files("bank")
    ended = program(
        *("qkdsec", "doctor", f"https://127.0.0.1:{managers.port}", "--slave-sae-id", "shop", "--format", "json"),
        *("--cert", str(files.certificate), "--key", str(files.key), "--ca-cert", str(files.authority)),
    )
    report: dict[str, Any] = json.loads(ended.stdout)
    found = {result["name"]: result["status"] for result in report["results"]}
    assert found == dict.fromkeys(PASSED, "pass") | {name: status for name, (status, _) in EXPLAINED.items()}
    told = {result["name"]: result["summary"] for result in report["results"]}
    assert "HTTP 400" in told["error_contract_404"]
    assert "not found" in told["dec_keys_roundtrip"]


def test_the_round_trip_of_qkdsec_passes_where_the_slave_asks(managers: KeyManagers) -> None:
    from qkdsec.client import ETSI014Client
    from qkdsec.doctor import probes

    def client(who: str, port: int) -> Any:
        files = managers.files(who)
        pair = (str(files.certificate), str(files.key))
        return ETSI014Client(f"https://127.0.0.1:{port}", client_cert=pair, verify=str(files.authority))

    with client("bank", managers.port) as master, client("shop", managers.other_port) as slave:
        master.get_dec_keys = lambda _, *, key_ids: slave.get_dec_keys("bank", key_ids=key_ids)
        result = probes.probe_dec_keys_roundtrip(master, "shop")
    assert result.status is probes.ProbeStatus.PASS, result.summary


def test_keys_of_qkdsec_as_a_program_reach_both_ends(managers: KeyManagers) -> None:
    def keys(command: str, who: str, port: int, *arguments: str) -> Any:
        files = managers.files(who)
        options = ("--cert", str(files.certificate), "--key", str(files.key), "--ca-cert", str(files.authority))
        ended = program("qkdsec", "keys", command, f"https://127.0.0.1:{port}", *arguments, *options, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    made = keys("get", "bank", managers.port, "shop", "--number", "2", "--size", "128")
    got = keys("retrieve", "shop", managers.other_port, "bank", *(key["key_id"] for key in made))
    assert [key["size_bits"] for key in made] == [128, 128]
    assert got == made


def test_keys_of_etsi_qkd_014_client_reach_both_ends(managers: KeyManagers) -> None:
    from etsi_qkd_014_client import QKD014Client

    def client(who: str, port: int) -> Any:
        files = managers.files(who)
        return QKD014Client(f"127.0.0.1:{port}", str(files.certificate), str(files.key), str(files.authority))

    bank, shop = client("bank", managers.port), client("shop", managers.other_port)
    code, status = bank.get_status("shop")
    assert (code, status.source_kme_id, status.key_size, status.max_sae_id_count) == (200, "otemachi", 256, 2)
    code, made = bank.get_key("shop", number=3, size=512, additional_slave_sae_ids=["cafe"])
    assert (code, len(made.keys)) == (200, 3)
    ids = [key.key_id for key in made.keys]
    code, got = shop.get_key_with_key_IDs("bank", ids)
    assert code == 200
    assert [(key.key_id, key.key) for key in got.keys] == [(key.key_id, key.key) for key in made.keys]
    code, error = shop.get_key_with_key_IDs("bank", ids)
    assert (code, error.message) == (400, "one or more keys specified are not found on KME")
    code, error = bank.get_key("shop", extension_mandatory=[{"acme_x": 1}])
    assert (code, error.message) == (400, "not all extension_mandatory parameters are supported")
    assert error.details == [{"extension_mandatory_unsupported": ["acme_x"]}]


def test_etsi_qkd_014_client_as_a_program_gets_a_key_and_the_slave_the_same(managers: KeyManagers) -> None:
    def run(who: str, port: int, *command: str) -> str:
        files = managers.files(who)
        ended = program(
            *("qkd014-client", "-H", f"127.0.0.1:{port}", "-c", str(files.certificate), "-k", str(files.key)),
            *("-r", str(files.authority), *command),
        )
        assert ended.returncode == 0, ended.stderr
        assert "Response code : 200" in ended.stdout
        return ended.stdout

    made = run("bank", managers.port, "get_key", "shop")
    found = re.search(r"Key id : (\S+)\nKey : (\S+)", made)
    assert found
    assert f"Key : {found[2]}" in run("shop", managers.other_port, "get_key_with_id", found[1], "bank")


@pytest.mark.parametrize("name", sorted(EXPLAINED))
def test_the_page_explains_each_probe_that_does_not_pass(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "protocols" / "etsi014-server.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")
