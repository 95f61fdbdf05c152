"""Secrets of well-known forms are masked or refused on every way in, and never told by what refuses them."""

from __future__ import annotations

import base64
import json
import logging
import secrets as randomness
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from tests.unit.clients import Bench, got
from tests.unit.compats import item, run
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat import create_hybrid_backend
from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.interfaces import tokens
from trinitas_tasks.interfaces.importing import Import
from trinitas_tasks.policy import secrets
from trinitas_tasks.policy.secrets import Secret, mask, masked, refuse, secrets_in

pytestmark = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")

ROOT = Path(__file__).parents[2]
LETTERS = "a1B2c3D4e5F6g7H8i9J0"
"""Put together here, so that nobody who looks for secrets finds any in this file."""
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + 3 * (64 * "A" + "\n")

SECRETS = {
    "AKIA" + "QWERTYUIOP234567": "aws access key",
    "ghp_" + LETTERS + LETTERS[:16]: "github token",
    "github_pat_" + (2 * LETTERS)[:22] + "_" + (3 * LETTERS)[:59]: "github token",
    "glpat-" + LETTERS: "gitlab token",
    "glpat-" + LETTERS + LETTERS + ".01.0a1b2c3d4": "gitlab token",
    "xoxb-" + "123456789012-1234567890123-" + LETTERS: "slack token",
    "xapp-" + "1-A0123456789-1234567890123-" + 4 * "0123456789abcdef": "slack token",
    "https://hooks.slack.com/services/" + "T01234567/B01234567/" + LETTERS: "slack webhook",
    "AIza" + (2 * LETTERS)[:35]: "google api key",
    "GOCSPX-" + (2 * LETTERS)[:28]: "google oauth secret",
    "sk_live_" + LETTERS: "stripe key",
    "sk-proj-" + 3 * LETTERS: "openai key",
    "sk-" + LETTERS + "T3BlbkFJ" + LETTERS: "openai key",
    "sk-ant-" + "api03-" + 4 * LETTERS: "anthropic key",
    "npm_" + (2 * LETTERS)[:36]: "npm token",
    "pypi-" + "AgEIcHlwaS5vcmc" + 4 * LETTERS: "pypi token",
    "hf_" + (2 * LETTERS)[:34]: "hugging face token",
    "dckr_pat_" + (2 * LETTERS)[:27]: "docker token",
    "dop_v1_" + 4 * "0123456789abcdef": "digitalocean token",
    "SG." + (2 * LETTERS)[:22] + "." + (3 * LETTERS)[:43]: "sendgrid key",
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxIn0." + LETTERS: "json web token",
    PEM + "-----END RSA " + "PRIVATE KEY-----": "private key",
    PEM.rstrip(): "private key",
    "trt_0a1b2c3d_" + (3 * LETTERS)[:43]: "trinitas token",
}

PARTS = {
    "redis://:s3cr3t-pw@127.0.0.1:6379/0": "redis://:⟨secret: password in a url⟩@127.0.0.1:6379/0",
    "https://bot:" + "hunter2@example.com/x?y#z": "https://bot:⟨secret: password in a url⟩@example.com/x?y#z",
    "https://x:ghp_" + LETTERS + LETTERS[:16] + "@example.com": "https://x:⟨secret: github token⟩@example.com",
    "aws_secret_access_key = " + 2 * LETTERS: "aws_secret_access_key = ⟨secret: aws secret key⟩",
    'AWS_SECRET_KEY="' + 2 * LETTERS + '"': 'AWS_SECRET_KEY="⟨secret: aws secret key⟩"',
    "AccountKey=" + 4 * LETTERS + LETTERS[:6] + "==;x": "AccountKey=⟨secret: azure storage key⟩;x",
}

ORDINARY = (
    "The staging database moved to port 5433; ask Ann for the password.",
    "パスワードは金庫にあります。トークンは毎月更新する。sk-learn と npm_config を確認。",
    "redis://:password@localhost:6379/0, postgres://app:${DB_PASSWORD}@db, amqp://u:<password>@h, http://u:***@h",
    "http://localhost:8000/path@v1 and git@github.com:org/repo.git and mailto:a@b.c",
    "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY are those of the documentation",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "put it between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----\n" + 3 * (64 * "A" + "\n") + "-----END CERTIFICATE-----",
    "ghp_short, xoxb-your-token-here, sk-proj-..., hf_transfer, glpat-<token>, eyJhbGciOi.., trt_ID_SECRET",
    "AKIA" + "QWERTYUIOP234567ABC is longer, and so is hf_" + 2 * LETTERS,
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 of 2026-01-02",
)

HOSTILE = (
    "ghp_", "ghp_" + 300 * "a", "://", "://:" + 299 * "a", "://a:b", "eyJ", "eyJaaaaaaaaa.",
    "eyJaaaaaaaaa.eyJaaaaaaaaa.", "-----BEGIN ", PEM[:32], PEM, PEM[:32] + 40 * ("A" * 31 + "\n"),
    "aws_secret_key =    ",
    "AccountKey=", "SG.", "sk-", "xoxb-1", "sk-ant-", "-", "\\n", 64 * "A" + "\n",
)  # fmt: skip


def _kept(client: MemoryClient) -> int:
    return sum((client.stats().by_type or {}).values())


Way = Callable[[MemoryClient, Path, Any], str]


def _remember(client: MemoryClient, _: Path, content: Any) -> str:
    return client.remember(content)


def _remember_many(client: MemoryClient, _: Path, content: Any) -> str:
    return client.remember_many([{"content": "first"}, {"content": content}])[1]


def _update(client: MemoryClient, _: Path, content: Any) -> str:
    return client.update(client.remember("before"), content=content).id


def _compat(client: MemoryClient, _: Path, content: Any) -> str:
    run(create_hybrid_backend(client=client).memories.store(item(content, id="v35")))
    return "v35"


def _import(client: MemoryClient, folder: Path, content: Any) -> str:
    file = folder / "memories.jsonl"
    file.write_text(json.dumps({"content": content, "id": "imported"}) + "\n")
    job = Import(client, file, persona="athena", state_folder=folder)
    if bad := job.check(lambda _: None).bad:
        raise InvalidMemory(bad[0].error)
    assert job.run(lambda _: None) == 1
    return "imported"


WAYS = (_remember, _remember_many, _update, _compat, _import)


@pytest.mark.parametrize(("secret", "kind"), SECRETS.items(), ids=SECRETS.values())
def test_a_secret_is_masked_and_the_rest_stays(secret: str, kind: str) -> None:
    assert masked(f'before "{secret}", 後 {secret}') == f'before "⟨secret: {kind}⟩", 後 ⟨secret: {kind}⟩'
    assert masked(f"token={secret}") == f"token=⟨secret: {kind}⟩"
    assert masked(json.dumps(secret)) == f'"⟨secret: {kind}⟩"'
    assert masked(masked(secret)) == masked(secret)


@pytest.mark.parametrize(("text", "shown"), PARTS.items())
def test_only_the_secret_part_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_holds_no_secrets(text: str) -> None:
    assert masked(text) == text


def test_the_demo_and_the_documents_hold_no_secrets() -> None:
    files = [
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*.md"),
        *ROOT.glob("trinitas_tasks/sample/*"),
        *ROOT.glob("config/*"),
    ]
    assert len(files) > 20
    for file in files:
        assert masked(text := file.read_text()) == text, file


@given(st.binary(max_size=400))
def test_what_is_only_random_holds_no_secrets(data: bytes) -> None:
    for text in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(), data.hex()):
        assert masked(text) == text
    if len(data) >= 16:
        assert masked(text := f"{uuid.UUID(bytes=data[:16])} sha1:{data[:20].hex()}") == text


def test_a_picture_in_base64_holds_no_secrets() -> None:
    text = "data:image/png;base64," + base64.b64encode(randomness.token_bytes(750_000)).decode()
    assert masked(text) == text


@pytest.mark.parametrize("unit", HOSTILE, ids=[repr(each[:24]) for each in HOSTILE])
def test_hostile_text_does_not_take_for_ever(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))  # quadratic time would be hours
    assert masked(text)


def test_a_token_of_our_own_is_known() -> None:
    made = tokens.PREFIX + "_0a1b2c3d_" + randomness.token_urlsafe(tokens.SECRET_BYTES)
    assert tokens.SHAPE.fullmatch(made)
    assert masked(f"Bearer {made}") == "Bearer ⟨secret: trinitas token⟩"


TOKEN = "ghp_" + LETTERS + LETTERS[:16]
OTHER = "ghp_" + LETTERS[::-1] + LETTERS[:16]
MASK = "⟨secret: github token⟩"


def test_it_is_told_where_secrets_are_and_of_which_kinds() -> None:
    aws = {"AWS_SECRET_ACCESS_KEY": 2 * LETTERS}
    found = list(
        secrets_in(
            memory(
                {"config": [{"key": f"a {TOKEN} b"}], TOKEN: aws},
                id=TOKEN, tags=["x", TOKEN], metadata={"url": "redis://:s3cr3t@h"},
            )
        )
    )  # fmt: skip
    assert found == [
        Secret("id", "github token"),
        Secret("content.config.0.key", "github token"),
        Secret("a key of content", "github token"),
        Secret(f"content.{MASK}.AWS_SECRET_ACCESS_KEY", "aws secret key"),
        Secret("metadata.url", "password in a url"),
        Secret("tags.1", "github token"),
    ]


def test_a_whole_memory_is_masked_and_no_value_is_lost() -> None:
    given = memory(
        {TOKEN: 1, OTHER: [f"{TOKEN}!", 2.5, None], "aws-secret-key": 2 * LETTERS}, tags=[TOKEN], metadata={"k": TOKEN}
    )
    hidden = mask(given)
    assert hidden.content == {
        MASK: 1,
        f"{MASK} (2)": [f"{MASK}!", 2.5, None],
        "aws-secret-key": "⟨secret: aws secret key⟩",
    }
    assert (hidden.tags, hidden.metadata) == ((MASK,), {"k": MASK})
    assert (hidden.id, hidden.timestamp, hidden.type) == (given.id, given.timestamp, given.type)
    assert refuse(hidden) == mask(hidden) == hidden


def test_what_holds_none_is_the_same_memory() -> None:
    given = memory({"a": ["b", {"c": 1}]}, tags=["t"], metadata={"k": True})
    assert refuse(given) is given
    assert mask(given) is given


def test_many_secrets_are_told_of_in_few_words() -> None:
    with pytest.raises(InvalidMemory, match=r"content\.4 holds a secret \(github token\) and 5 more: "):
        refuse(memory([TOKEN] * 10))


@pytest.mark.parametrize("mode", ["mask", "refuse"])
def test_an_id_cannot_be_masked(bench: Bench, mode: str) -> None:
    with pytest.raises(InvalidMemory, match=r"id:? holds a secret") as refused:
        bench.client(TRINITAS_SECRETS=mode).remember("x", id=TOKEN)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("content", [f"my token: {TOKEN}", {"config": {"key": TOKEN}}])
def test_every_way_in_refuses_and_does_not_tell_the_secret(
    bench: Bench, tmp_path: Path, way: Way, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = bench.client(TRINITAS_SECRETS="refuse")
    with pytest.raises(InvalidMemory, match=r"content(\.config\.key)? holds a secret \(github token\)") as refused:
        way(client, tmp_path, content)
    assert TOKEN[4:] not in "".join(traceback.format_exception(refused.value)) + caplog.text
    assert _kept(client) == (1 if way is _update else 0)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_masks(bench: Bench, tmp_path: Path, way: Way) -> None:
    client = bench.client(TRINITAS_SECRETS="mask")
    assert got(client, way(client, tmp_path, {"config": {"key": TOKEN}})).content == {"config": {"key": MASK}}


@pytest.mark.parametrize("way", WAYS)
def test_by_default_every_way_in_keeps_what_it_is_given(bench: Bench, tmp_path: Path, way: Way) -> None:
    client = bench.client()
    assert got(client, way(client, tmp_path, {"config": {"key": TOKEN}})).content == {"config": {"key": TOKEN}}


def test_what_is_the_same_but_for_its_secrets_is_the_same_memory(bench: Bench) -> None:
    client = bench.client(TRINITAS_SECRETS="mask")
    first = client.remember(f"token {TOKEN}")
    assert client.remember(f"token {TOKEN}") == client.remember(f"token {OTHER}") == first
    assert client.remember("token of Ann") != first


def test_a_file_imported_again_is_the_same_memories(bench: Bench, tmp_path: Path) -> None:
    client = bench.client(TRINITAS_SECRETS="mask")
    file = tmp_path / "memories.jsonl"
    file.write_text(json.dumps({"content": TOKEN}) + "\n")
    for folder in ("one", "two"):
        Import(client, file, persona="athena", state_folder=tmp_path / folder).run(lambda _: None)
    assert _kept(client) == 1


def test_a_memory_of_before_is_looked_at_when_it_is_changed(bench: Bench) -> None:
    old = bench.client().remember(f"token {TOKEN}")
    with pytest.raises(InvalidMemory, match="content holds a secret"):
        bench.client(TRINITAS_SECRETS="refuse").update(old, importance=0.9)
    assert bench.client(TRINITAS_SECRETS="mask").update(old, importance=0.9).content == f"token {MASK}"


@pytest.mark.parametrize("mode", ["mask", "refuse"])
@pytest.mark.parametrize(
    "fields", [{"tags": TOKEN}, {"tags": [7, TOKEN]}, {"metadata": {"k": {1, TOKEN}}}, {"type": TOKEN}]
)
def test_no_other_error_quotes_one(bench: Bench, mode: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidMemory) as refused:
        bench.client(TRINITAS_SECRETS=mode).remember("x", **fields)
    assert TOKEN[4:] not in str(refused.value)


def test_nothing_is_compiled_before_it_is_needed(bench: Bench) -> None:
    secrets._patterns.cache_clear()
    bench.client().remember(TOKEN)
    assert secrets._patterns.cache_info().currsize == 0
