"""What is told of an alarm besides: programs, web servers, mails; and how little that holds the alarms back."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.alarm_servers import MailServer, WebServer, certificate, serving
from tokaido_testing.patience import in_time, patient

ALARM = hal.StationAlarm("lab", "alice", "TAMPER", hal.Severity.CRITICAL, True, 1_767_225_600_120_000_000, "opened")
RECORD = {**ALARM.record(), "dropped": 0}
STATION = """
[station]
name = "lab"
on_exit = "keep"
[devices.alice]
driver = "toshiba.transmitter"
control = "{control}"
"""


def secret(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(f"{text}\n", encoding="ascii")
    path.chmod(mode)
    return path


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_program_gets_the_event_as_one_line_of_json(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    hal.ProgramHook([sys.executable, "-c", program, str(out)]).tell(RECORD)
    text = out.read_text(encoding="ascii")
    assert text.count("\n") == 1
    assert json.loads(text) == RECORD
    assert RECORD["utc"] == "2026-01-01T00:00:00.120Z"


def test_no_shell_reads_what_a_device_says(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    hal.ProgramHook([sys.executable, "-c", program, str(out), "$(id); `id`"]).tell(RECORD)
    assert out.read_text(encoding="ascii") == "$(id); `id`"


def test_a_program_is_killed_after_its_time_with_what_it_began(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    program = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen(['sleep', '60']); open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(60)"
    )
    start_s, timeout_s = time.monotonic(), patient(1.5)
    with pytest.raises(hal.TokaidoError, match="killed after"):
        hal.ProgramHook([sys.executable, "-c", program, str(out)], timeout=timeout_s).tell(RECORD)
    assert in_time(start_s, 5)
    child = int(out.read_text(encoding="ascii"))
    state = Path(f"/proc/{child}/stat")

    def is_dead() -> bool:
        try:
            return state.read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    deadline = time.monotonic() + 10  # a killed process goes when it is next its turn
    while not is_dead():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_that_fails_or_is_not_there_is_an_error() -> None:
    with pytest.raises(hal.TokaidoError, match="status 3"):
        hal.ProgramHook([sys.executable, "-c", "raise SystemExit(3)"]).tell(RECORD)
    with pytest.raises(hal.TokaidoError, match="could not be started"):
        hal.ProgramHook(["/nowhere/lamp"]).tell(RECORD)
    for wrong in ("lamp --red", [], [""], ["lamp", 3]):
        with pytest.raises(hal.ConfigurationError, match="list"):
            hal.ProgramHook(wrong)  # type: ignore[arg-type]


# --- the web ----------------------------------------------------------------------------------------------------------


def test_a_post_has_the_event_and_the_token(tmp_path: Path) -> None:
    web = WebServer()
    with serving(web.server):
        hook = hal.WebHook(f"http://127.0.0.1:{web.port}/alarms?lab", token_file=secret(tmp_path, "t0k3n"))
        hook.tell(RECORD)
    ((path, head, body),) = web.posts
    assert path == "/alarms?lab"
    assert body == RECORD
    assert head["Authorization"] == "Bearer t0k3n"


def test_https_trusts_nobody_but_whom_it_should(tmp_path: Path) -> None:
    trusted, context = certificate(tmp_path)
    web = WebServer(context)
    with serving(web.server):
        url = f"https://localhost:{web.port}/"
        hal.WebHook(url, ca_file=trusted).tell(RECORD)
        with pytest.raises(hal.TransportError, match="certificate"):
            hal.WebHook(url).tell(RECORD)
    assert len(web.posts) == 1


@pytest.mark.parametrize("status", [307, 404, 500])
def test_another_status_is_an_error_and_no_redirection_is_followed(status: int) -> None:
    web = WebServer()
    web.status = status
    with serving(web.server), pytest.raises(hal.TransportError, match=str(status)):
        hal.WebHook(f"http://localhost:{web.port}/").tell(RECORD)


def test_a_server_that_drips_is_cut_off() -> None:
    web = WebServer()
    web.drips = True
    start_s = time.monotonic()
    with serving(web.server):
        with pytest.raises(hal.TransportError, match="within"):
            hal.WebHook(f"http://127.0.0.1:{web.port}/", timeout=0.4).tell(RECORD)
        web.gone.set()
    assert in_time(start_s, 3)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "http://127.0.0.1.example.org/",
        "ftp://localhost/",
        "https://",
        "https://user:word@example.org/",
        "https://example.org:port/",
        "https://example.org/a b",
        "https://example.org/\r\nX: y",
        "localhost",
    ],
)
def test_a_url_that_would_send_alarms_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(hal.ConfigurationError):
        hal.WebHook(url)


# --- mail -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_mail_goes_over_tls_with_a_password_from_its_file(tmp_path: Path, tls: Any) -> None:
    trusted, context = certificate(tmp_path)
    mails = MailServer(context, implicit=tls == "implicit", password="pa55")
    with serving(mails.server):
        hook = hal.MailHook(
            ["operator@example.org", "night@example.org"],
            sender="lab@example.org",
            server=f"localhost:{mails.port}",
            tls=tls,
            user="station",
            password_file=secret(tmp_path, "pa55"),
            ca_file=trusted,
        )
        hook.tell(RECORD)
    ((sender, to, text),) = mails.mails
    assert "lab@example.org" in sender
    assert len(to) == 2
    assert "Subject: lab: alice TAMPER raised (CRITICAL)" in text
    assert "text: opened" in text
    assert all(line.split()[0].upper() in ("EHLO", "STARTTLS") for line in mails.clear)


def test_a_mail_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    other, context = certificate(tmp_path, "elsewhere")
    mails = MailServer(context, implicit=True)
    with serving(mails.server):
        for ca_file in (None, other):
            hook = hal.MailHook(
                ["a@example.org"], sender="b@example.org", server=f"localhost:{mails.port}", ca_file=ca_file
            )
            with pytest.raises(hal.TransportError, match="certificate"):
                hook.tell(RECORD)
    assert mails.mails == []


def test_no_error_shows_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trusted, context = certificate(tmp_path)
    mails = MailServer(context, implicit=True, password="another")
    with serving(mails.server):
        hook = hal.MailHook(
            ["a@example.org"],
            sender="b@example.org",
            server=f"localhost:{mails.port}",
            user="station",
            password_file=secret(tmp_path, "pa55"),
            ca_file=trusted,
        )
        with pytest.raises(hal.TransportError, match="535") as caught:
            hook.tell(RECORD)
    assert "pa55" not in f"{caught.value} {caught.value.__cause__} {hook.name} {vars(hook)} {caplog.text}"


def test_a_password_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    hook = hal.MailHook(
        ["a@example.org"],
        sender="b@example.org",
        server="localhost:465",
        user="station",
        password_file=secret(tmp_path, "pa55", 0o640),
    )
    with pytest.raises(hal.ConfigurationError, match="chmod 600"):
        hook.tell(RECORD)


# --- the queue --------------------------------------------------------------------------------------------------------


class Slow:
    """A hook that waits until it may go on."""

    name = "slow"

    def __init__(self, severity: hal.Severity | None = None, fails: bool = False) -> None:
        import threading

        self.severity = severity
        self.fails = fails
        self.told: list[Mapping[str, Any]] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def tell(self, record: Mapping[str, Any]) -> None:
        self.begun.set()
        self.go.wait(20)
        self.told.append(record)
        if self.fails:
            raise ValueError("it is broken")


def watch_of(count: int, hook: Any) -> list[str]:
    """Let a device make `count` changes of alarms with a hook beside the loop, and return what the loop was told."""
    with launch("toshiba.transmitter", warm=True) as alice:
        station = hal.Station.from_text(STATION.format(control=alice.resources["control"]))
        with station, station.alarms(poll=0.02, timeout=patient(5), hooks=[hook]) as watch:
            hal.SYSTEM_CLOCK.wait(0.2)
            with alice.lock:
                for number in range(count):
                    change = alice.model.alarms.clear if number % 2 else alice.model.alarms.raise_  # type: ignore[attr-defined]
                    change("EC_FAIL") if number % 2 else change("EC_FAIL", alice.model.now_ns)
            alice.add_fault("rate_drop")
            return [next(watch).code for _ in range(count)]


def test_a_slow_hook_holds_no_alarm_back_and_is_told_what_was_dropped(caplog: pytest.LogCaptureFixture) -> None:
    hook = Slow()
    with launch("toshiba.transmitter", warm=True) as alice:
        station = hal.Station.from_text(STATION.format(control=alice.resources["control"]))
        with station, station.alarms(poll=0.02, timeout=patient(5), hooks=[hook]) as watch:
            told = 0
            for number in range(130):
                alice.add_fault("rate_drop")
                with alice.lock:
                    if number % 2:
                        alice.model.alarms.clear("EC_FAIL")  # type: ignore[attr-defined]
                    else:
                        alice.model.alarms.raise_("EC_FAIL", alice.model.now_ns)  # type: ignore[attr-defined]
                alice.remove_fault("rate_drop")
                assert next(watch).code == "EC_FAIL"
                told += 1
            assert told == 130
            assert hook.begun.is_set()
            assert hook.told == []
            with caplog.at_level(logging.WARNING, "tokaido.hal.alarms"):
                hook.go.set()
                watch.close()
    assert [record["dropped"] for record in hook.told[:3]] == [0, 29, 0]  # one was with the hook, 100 waited
    assert len(hook.told) == 101
    assert "29 alarms before this one were dropped" in caplog.text


def test_a_hook_that_fails_is_logged_and_told_the_next(caplog: pytest.LogCaptureFixture) -> None:
    hook = Slow(fails=True)
    hook.go.set()
    with caplog.at_level(logging.WARNING, "tokaido.hal.alarms"):
        assert watch_of(2, hook) == ["EC_FAIL"] * 2
    assert len(hook.told) == 2
    assert "hook slow failed for alice EC_FAIL: it is broken" in caplog.text


def test_a_hook_is_told_what_is_severe_enough_for_it() -> None:
    minor, major = Slow(hal.Severity.MINOR), Slow(hal.Severity.MAJOR)
    for hook in (minor, major):
        hook.go.set()
        watch_of(2, hook)
    assert (len(minor.told), len(major.told)) == (2, 0)


# --- the station file -------------------------------------------------------------------------------------------------

HOOKS = """
[[alarms.hooks]]
program = ["/usr/local/bin/lamp", "--red"]
severity = "MAJOR"
timeout = 5

[[alarms.hooks]]
web = "https://example.org/alarms"
token_file = "web.token"

[[alarms.hooks]]
mail = ["operator@example.org"]
sender = "lab@example.org"
server = "mail.example.org:587"
tls = "starttls"
user = "lab"
password_file = "mail.password"
"""


def test_a_station_file_names_hooks_and_where_their_secrets_are(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(STATION.format(control="serial:/dev/nowhere") + HOOKS, encoding="ascii")
    program, web, mail = hal.Station.from_file(tmp_path / "lab.toml").alarm_hooks
    assert isinstance(program, hal.ProgramHook)
    assert (program.arguments, program.timeout_s) == (("/usr/local/bin/lamp", "--red"), 5)
    assert program.severity is hal.Severity.MAJOR
    assert isinstance(web, hal.WebHook)
    assert web.token_file == tmp_path / "web.token"
    assert isinstance(mail, hal.MailHook)
    assert mail.password_file == tmp_path / "mail.password"


@pytest.mark.parametrize(
    ("hook", "mistake"),
    [
        ('program = "lamp --red"', "list of texts"),
        ('program = ["lamp"]\nweb = "https://example.org/"', "one of program, web, mail"),
        ("timeout = 3", "one of program, web, mail"),
        ('program = ["lamp"]\ntimeout = 0', "timeout"),
        ('program = ["lamp"]\ntimeout = "3"', "timeout"),
        ('program = ["lamp"]\nseverity = "RED"', "CRITICAL, MAJOR, MINOR, WARNING"),
        ('web = "http://example.org/"', "in the clear"),
        ('web = "https://example.org/"\npassword = "x"', "unknown key"),
        ('mail = ["a@example.org"]\nsender = "b@example.org"', "server is missing"),
        ('mail = ["a@example.org"]\nsender = "b@example.org"\nserver = "m:465"\nuser = "x"', "password_file"),
        ('mail = ["a@example.org"]\nsender = "b@example.org"\nserver = "m:465"\ntls = "none"', "starttls"),
        ('mail = ["a@x\\nBcc: c@x"]\nsender = "b@example.org"\nserver = "m:465"', "addresses"),
    ],
)
def test_every_mistake_of_a_hook_is_told(hook: str, mistake: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=mistake) as caught:
        hal.Station.from_text(STATION.format(control="serial:/dev/nowhere") + f"[[alarms.hooks]]\n{hook}\n")
    assert "alarms.hooks[0]" in str(caught.value)


def test_the_hooks_of_a_file_run_when_they_are_given(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())"
    with launch("toshiba.transmitter", warm=True) as alice:
        text = STATION.format(control=alice.resources["control"])
        text += f"[[alarms.hooks]]\nprogram = {json.dumps([sys.executable, '-c', program])}\n"
        with hal.Station.from_text(text) as station, station.alarms(poll=0.02, hooks=station.alarm_hooks) as watch:
            alice.add_fault("cover_opened")
            assert next(watch).code == "TAMPER"
    told = json.loads(out.read_text(encoding="ascii"))
    assert (told["device"], told["code"], told["severity"], told["raised"]) == ("alice", "TAMPER", "CRITICAL", True)
