"""`trinitas token` and `audit`, as somebody at a terminal meets them: nothing runs, the ledger is a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.commands import CommandLine
from trinitas_tasks.errors import Forbidden, UnknownPersona
from trinitas_tasks.interfaces.entering import ledger_of, user
from trinitas_tasks.interfaces.tokens import Gate
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import Principal, Right
from trinitas_tasks.settings import Settings, load_settings
from trinitas_tasks.tiers.ledger.sqlite import SqliteLedger

FOR_ATHENA = ("token", "create", "-p", "athena")


@pytest.fixture
def settings(trinitas: CommandLine) -> Settings:
    """Those of the command line's home, in which nothing runs."""
    assert trinitas.ledger.tokens() == []  # it has set up the home
    return load_settings(stack=False)


@pytest.fixture
def ledger(settings: Settings) -> Iterator[SqliteLedger]:
    with closing(ledger_of(settings)) as opened:
        yield opened


def test_a_token_is_shown_once_and_lets_its_bearer_in(trinitas: CommandLine, ledger: SqliteLedger) -> None:
    done = trinitas(*FOR_ATHENA, "--persona", "hestia", "--scope", "read, share", "--expires", "12h", "--name", "ci")
    assert done.code == 0
    secret = done.out.strip()
    assert secret not in done.err
    bearer = Gate(ledger, requests_per_minute=0).admit(secret, utc_now())
    [token] = ledger.tokens()
    both = frozenset({"athena", "hestia"})
    assert bearer == Principal(f"token ci ({token.id})", frozenset({Right.READ, Right.SHARE}), both)
    assert token.expires == token.created + timedelta(hours=12)
    assert f"token {token.id} may read, share for athena, hestia, until " in done.err
    for listed in (trinitas("token", "list"), trinitas("token", "list", "--json"), trinitas("audit", "--json")):
        assert token.id in listed.out
        assert secret.rpartition("_")[2] not in listed.out + listed.err


def test_what_is_left_out_is_the_usual(trinitas: CommandLine, ledger: SqliteLedger) -> None:
    made = trinitas(*FOR_ATHENA, "--json").told
    assert made.pop("token").startswith(f"trt_{made['id']}_")
    assert (made["name"], made["personas"], made["scope"]) == ("athena", ["athena"], ["read", "write"])
    [token] = ledger.tokens()
    assert token.expires == token.created + timedelta(days=90)
    everybodys = trinitas("token", "create", "--all-personas", "--expires", "never", "--json").told
    assert (everybodys["personas"], everybodys["expires"], everybodys["state"]) == (None, None, "valid")
    listed = trinitas("token", "list", "--json").told
    assert [each["id"] for each in listed] == [made["id"], everybodys["id"]]
    assert listed[0] == made


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("token", "create"), 2, "say for whom it acts"),
        ((*FOR_ATHENA, "--all-personas"), 2, "say for whom it acts"),
        ((*FOR_ATHENA, "--scope", "rule"), 1, "there is no 'rule'; there are read, write, share, admin"),
        ((*FOR_ATHENA, "--scope", ","), 1, "scope: nothing is named"),
        ((*FOR_ATHENA, "--expires", "soon"), 1, "expires: 'soon' is no time such as 90d"),
        ((*FOR_ATHENA, "--name", "a\nb"), 1, "name: "),
        (("token", "create", "-p", "no one"), 1, "persona: 'no one' is not a persona's name"),
        (("token", "revoke", "0000000a", "--yes"), 1, "there is no token 0000000a"),
        (("audit", "--since", "soonish"), 2, "'soonish' is not a time"),
        (("audit", "-n", "0"), 2, "-n"),
    ],
)
def test_what_cannot_be_done_says_so_and_makes_nothing(
    trinitas: CommandLine, ledger: SqliteLedger, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = trinitas(*arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert ledger.tokens() == []


def test_a_persona_that_nobody_has_is_named_where_somebody_can_tell(
    trinitas: CommandLine, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trinitas("token", "create", "-p", "athene").code == 0  # nothing runs: nobody can tell
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("trinitas_tasks.client.MemoryClient.connect", lambda _: trinitas.bench.client(persona=None))
    done = trinitas("token", "create", "-p", "athene", "--json")
    told = json.loads(done.err)["error"]
    assert (done.code, told["type"]) == (1, UnknownPersona.__name__)
    assert "did you mean athena?" in told["message"]
    assert len(ledger.tokens()) == 1


def test_a_revoked_token_ends_after_a_question(trinitas: CommandLine, ledger: SqliteLedger) -> None:
    made = trinitas(*FOR_ATHENA, "--json").told
    gate = Gate(ledger, requests_per_minute=0)
    gate.admit(made["token"], utc_now())
    revoke = ("token", "revoke", made["id"])
    assert trinitas(*revoke).code == 2
    asked = trinitas(*revoke, stdin="n\n", columns=80)
    assert (asked.code, "for good?" in asked.err) == (1, True)
    assert gate.admit(made["token"], utc_now()).name == f"token athena ({made['id']})"
    assert trinitas(*revoke, stdin="y\n", columns=80).code == 0
    with pytest.raises(Forbidden):
        gate.admit(made["token"], utc_now())
    assert trinitas(*revoke, "--yes").code == 0
    [listed] = trinitas("token", "list", "--json").told
    assert (listed["state"], listed["last_used"] is None) == ("revoked", False)


def test_what_was_done_is_looked_up_by_all_that_is_asked(
    trinitas: CommandLine, ledger: SqliteLedger, settings: Settings
) -> None:
    assert trinitas("audit").err == "nothing was done that is like this\n"
    me = user(settings).name
    number = ledger.begin("token x (1)", "http", "forget", "athena", "m1", utc_now() - timedelta(days=3))
    ledger.end(number, "done", detail="a\x1b[31m")
    made = trinitas(*FOR_ATHENA, "--json").told
    opened = ledger.begin("token x (1)", "mcp", "remember", "hestia", None, utc_now())
    rows = trinitas("audit", "--json").told
    assert [each["number"] for each in rows] == [opened, opened - 1, number]
    assert rows[1] | {"at": None} == {
        "number": opened - 1, "at": None, "who": me, "door": "cli", "action": "token create", "persona": None,
        "subject": made["id"], "outcome": "done", "detail": "read, write for athena",
    }  # fmt: skip

    def found(*options: str) -> list[int]:
        return [each["number"] for each in trinitas("audit", "--json", *options).told]

    assert found("-n", "1") == [opened]
    assert found("--before", str(opened)) == [opened - 1, number]
    assert found("--who", "token x (1)") == [opened, number]
    assert found("-p", "athena") == [number]
    assert found("--action", "remember") == [opened]
    assert found("--since", "yesterday") == [opened, opened - 1]
    table = trinitas("audit").out
    assert [line.split()[0] for line in table.splitlines()] == ["number", str(opened), str(opened - 1), str(number)]
    assert "open" in table.splitlines()[1]
    assert "\x1b" not in table


def test_whoever_acts_for_one_persona_may_not_do_what_concerns_everybody(
    trinitas: CommandLine, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trinitas(*FOR_ATHENA, "--json").told
    monkeypatch.setenv("TRINITAS_PERSONA", "athena")
    backup = Path("b.tar.gz")
    backup.touch()
    for arguments in (
        FOR_ATHENA,
        ("token", "list"),
        ("token", "revoke", made["id"], "--yes"),
        ("audit",),
        ("restore", str(backup), "--yes"),
    ):
        done = trinitas(*arguments)
        assert (done.code, done.out) == (1, "")
        assert "this concerns all personas" in done.err
    refused = [deed.action for deed in reversed(ledger.deeds(10)) if deed.outcome == "refused"]
    assert refused == ["token create", "token list", "token revoke", "audit", "restore"]
    assert [token.revoked for token in ledger.tokens()] == [None]
