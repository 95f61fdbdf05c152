"""Secrets in what is remembered: keys, tokens and passwords of well-known forms, masked or refused before anything is
stored.

Only forms that nothing else has are looked for, so that ordinary text, hashes, UUIDs and pictures in base64 are let
alone; a password that is a word is not found (docs/hygiene.md, docs/decisions/020-hygiene.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.naming import renamed

MOST_TOLD: Final = 5
"""So many secrets of one memory are told of."""
LOOKED_AT: Final = ("content", "metadata", "tags")


class Secret(NamedTuple):
    """Where one stands, such as ``content.config.key``, and of which kind it is; never what it is."""

    where: str
    kind: str


class Kind(NamedTuple):
    """A form of secrets: with which literals one begins, and the rest. A group ``secret`` is all that is masked."""

    name: str
    begins: tuple[str, ...]
    rest: str


# Every pattern is tried only where a literal was found, and goes on for a bounded or possessive stretch: the time is by
# the length of the text, whatever the text.
KINDS: Final = (
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html; base 32. Those of AWS' own examples are none.
    Kind("aws access key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?![A-Z2-7]{9}EXAMPLE)[A-Z2-7]{16}"),
    Kind(
        "aws secret key",
        ("aws_secret", "AWS_SECRET", "aws-secret", "awsSecret", "AwsSecret"),
        r"(?i:(?:[_-]?access)?[_-]?key)[\"']?\s{0,4}[=:]\s{0,4}[\"']?(?![\w/+]{30}EXAMPLEKEY)(?P<secret>[A-Za-z0-9/+]{40})",
    ),
    # github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats
    Kind("github token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"[A-Za-z0-9]{36,251}+"),
    Kind("github token", ("github_pat_",), r"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    # docs.gitlab.com/security/tokens/#token-prefixes, and the longer, routable ones
    Kind(
        "gitlab token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glsoat-", "glft-", "glimt-", "glagent-", "gloas-", "glffct-"),
        r"[A-Za-z0-9_-]{20,300}+(?:\.[0-9a-z]{9}|\.[0-9a-z]{2}\.[0-9a-z]{7,9})?",
    ),
    # api.slack.com/concepts/token-types
    Kind(
        "slack token",
        ("xoxa-", "xoxb-", "xoxc-", "xoxe-", "xoxp-", "xoxr-", "xoxs-"),
        r"\d{1,15}+-[A-Za-z0-9-]{10,300}+",
    ),
    Kind("slack token", ("xoxe.xoxp-", "xoxe.xoxb-"), r"\d-[A-Za-z0-9]{100,300}+"),
    Kind("slack token", ("xapp-",), r"\d-[A-Z0-9]{8,15}+-\d{8,15}+-[a-f0-9]{40,80}+"),
    Kind(
        "slack webhook",
        ("https://hooks.slack.com/services/",),
        r"T[A-Z0-9]{7,12}+/B[A-Z0-9]{7,12}+/[A-Za-z0-9]{20,40}+",
    ),
    # cloud.google.com/docs/authentication
    Kind("google api key", ("AIza",), r"[A-Za-z0-9_-]{35}"),
    Kind("google oauth secret", ("GOCSPX-",), r"[A-Za-z0-9_-]{28}"),
    Kind("google access token", ("ya29.",), r"[A-Za-z0-9_-]{60,2000}+"),
    # docs.stripe.com/keys, docs.stripe.com/webhooks
    Kind("stripe key", ("sk_live_", "sk_test_", "rk_live_", "rk_test_"), r"[A-Za-z0-9]{16,250}+"),
    Kind("stripe webhook secret", ("whsec_",), r"[A-Za-z0-9+/]{32,100}+"),
    # platform.openai.com/docs/api-reference/authentication; of those without a word every one holds T3BlbkFJ
    Kind("openai key", ("sk-proj-", "sk-svcacct-", "sk-admin-"), r"[A-Za-z0-9_-]{40,300}+"),
    Kind("openai key", ("sk-",), r"[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    # docs.anthropic.com/en/api
    Kind("anthropic key", ("sk-ant-",), r"[a-z]{2,10}+\d{2}-[A-Za-z0-9_-]{40,300}+"),
    # github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format, pypi.org/help/#apitoken, huggingface.co/docs
    Kind("npm token", ("npm_",), r"[A-Za-z0-9]{36}"),
    Kind("pypi token", ("pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw"), r"[A-Za-z0-9_-]{50,2000}+"),
    Kind("hugging face token", ("hf_",), r"[A-Za-z0-9]{34}"),
    Kind("docker token", ("dckr_pat_", "dckr_oat_"), r"[A-Za-z0-9_-]{27,40}+"),
    Kind("digitalocean token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"[a-f0-9]{64}"),
    Kind("sendgrid key", ("SG.",), r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    Kind("azure storage key", ("AccountKey=",), r"(?P<secret>[A-Za-z0-9+/]{86}==)"),
    # RFC 7519: two objects and a signature
    Kind("json web token", ("eyJ",), r"[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{16,}+"),
    # RFC 7468, RFC 9580: to its end or, where that was cut off, as long as there are lines of base64
    Kind(
        "private key",
        ("-----BEGIN ",),
        r"(?:(?!PRIVATE )[A-Z0-9]{2,10}+ ){0,3}+PRIVATE KEY(?: BLOCK)?-----"
        r"(?=(?:[^-]|-(?!----)){0,300}?[A-Za-z0-9+/]{32})"
        r"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{0,40}+-----|(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{40,}+)++)",
    ),
    Kind("trinitas token", ("trt_",), r"[0-9a-f]{8}_[A-Za-z0-9_-]{43}"),
    # RFC 3986, 3.2.1; what stands for a password in documentation is none
    Kind(
        "password in a url",
        ("://",),
        r"[^\s/:@\"'<>]{0,100}+:(?!(?i:pass|passwd|password|pwd|secret|token|your[\w-]{0,30}+)@|[$%{\[<⟨]|([*.xX])\1*+@)"
        r"(?P<secret>[^\s/@\"'<>]{1,300}+)@[\w\[]",
    ),
)
_BESIDE: Final = r"[A-Za-z0-9_-]"
_JOINED: Final = frozenset({"password in a url", "private key"})
"""Kinds that may stand directly beside letters."""
_NAMED_KEY: Final = re.compile(r"aws[_-]?secret(?:[_-]?access)?[_-]?key", re.IGNORECASE)
_AWS_SECRET: Final = re.compile(r"(?![\w/+]{30}EXAMPLEKEY)[A-Za-z0-9/+]{40}")


def refuse(item: MemoryItem) -> MemoryItem:
    """The memory, if it holds no secret. Raises: InvalidMemory, which tells where they are and of which kinds."""
    if found := list(secrets_in(item)):
        more = f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
        told = "; ".join(f"{each.where} holds a secret ({each.kind})" for each in found[:MOST_TOLD])
        raise InvalidMemory(f"{told}{more}: keep secrets elsewhere and name the place, or set TRINITAS_SECRETS=mask")
    return item


def mask(item: MemoryItem) -> MemoryItem:
    """The memory with masks such as ``⟨secret: github token⟩`` in place of its secrets. Raises: InvalidMemory for one
    in its id, which cannot be another."""
    found = list(secrets_in(item))
    if not found:
        return item
    if found[0].where == "id":
        raise InvalidMemory(f"id: holds a secret ({found[0].kind})")
    hidden = {name: _masked(getattr(item, name)) for name in LOOKED_AT}
    return MemoryItem.build(quote=False, **{**dict(item), **hidden})


def secrets_in(item: MemoryItem) -> Iterator[Secret]:
    """Every secret of a memory: those of its id first, then of content, metadata and tags."""
    yield from (Secret("id", kind) for _, _, kind in _spans(item.id))
    for name in LOOKED_AT:
        yield from _found(getattr(item, name), name)


def masked(text: str) -> str:
    """The text with masks in place of its secrets."""
    parts, end = [], 0
    for start, stop, kind in _spans(text):
        parts += [text[end:start], f"⟨secret: {kind}⟩"]
        end = stop
    return "".join(parts) + text[end:] if parts else text


def _found(value: Any, where: str) -> Iterator[Secret]:
    match value:
        case str():
            yield from (Secret(where, kind) for _, _, kind in _spans(value))
        case list() | tuple():
            for number, each in enumerate(value):
                yield from _found(each, f"{where}.{number}")
        case dict():
            for key, each in value.items():
                inside = f"{where}.{masked(key)[:60]}"
                yield from (Secret(f"a key of {where}", kind) for _, _, kind in _spans(key))
                if _is_named(key, each):
                    yield Secret(inside, "aws secret key")
                yield from _found(each, inside)


def _masked(value: Any) -> Any:
    match value:
        case str():
            return masked(value)
        case list() | tuple():
            return [_masked(each) for each in value]
        case dict():
            return {
                name: "⟨secret: aws secret key⟩" if _is_named(key, value[key]) else _masked(value[key])
                for key, name in renamed(value, masked)
            }
        case _:
            return value


def _is_named(key: str, value: Any) -> bool:
    """Whether the key says that the value is a secret which by itself looks like any base64."""
    return isinstance(value, str) and bool(_NAMED_KEY.search(key)) and bool(_AWS_SECRET.fullmatch(value))


def _spans(text: str) -> list[tuple[int, int, str]]:
    """Where secrets begin and end, and their kinds; in order, none within another."""
    found = [
        (*match.span("secret" if "secret" in pattern.groupindex else 0), kind)
        for kind, sign, literal, pattern in _patterns()
        if sign in text and literal in text
        for match in _matches(text, literal, pattern)
    ]
    apart: list[tuple[int, int, str]] = []
    for start, stop, kind in sorted(found, key=lambda span: (span[0], -span[1])):
        if not apart or start >= apart[-1][1]:
            apart.append((start, stop, kind))
    return apart


def _matches(text: str, literal: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    at = text.find(literal)
    while at >= 0:
        match = pattern.match(text, at)
        if match is not None:
            yield match
        at = text.find(literal, at + len(literal) if match is None else match.end())


@cache
def _patterns() -> tuple[tuple[str, str, str, re.Pattern[str]], ...]:
    """For each literal its kind, the sign in it that most text has least of (to look for one is ten times as fast), and
    the pattern. Compiled when first needed: most processes never look for secrets."""
    return tuple(
        (kind.name, next((sign for sign in "_-:.=" if sign in literal), literal[0]), literal, pattern)
        for kind in KINDS
        for pattern in (re.compile(_pattern(kind)),)
        for literal in kind.begins
    )


def _pattern(kind: Kind) -> str:
    whole = f"(?:{'|'.join(map(re.escape, kind.begins))}){kind.rest}"
    return whole if kind.name in _JOINED else f"(?<!{_BESIDE}){whole}(?!{_BESIDE})"
