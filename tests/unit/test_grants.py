"""Which of two accounts of the same grants counts."""

from __future__ import annotations

import pytest

from trinitas_tasks.model import Key
from trinitas_tasks.policy.grants import EVERYBODY, Grant, holders, missing

KEY = Key("athena", "m1")
GRANTED, REVOKED = Grant(KEY, "hera", 5, revoked=False), Grant(KEY, "hera", 6, revoked=True)
AGAIN = Grant(KEY, "hera", 8, revoked=False)
ALL = Grant(KEY, EVERYBODY, 7, revoked=True)
OTHER = Grant(KEY, "zeus", 6, revoked=False)


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        ([], set()),
        ([GRANTED, OTHER], {"hera", "zeus"}),
        ([REVOKED, OTHER], {"zeus"}),
        ([AGAIN, OTHER, ALL], {"hera"}),
        ([ALL], set()),
    ],
)
def test_who_may_read_is_whose_grant_nothing_has_ended(grants: list[Grant], expected: set[str]) -> None:
    assert holders(grants) == expected


@pytest.mark.parametrize(
    ("known", "told", "expected"),
    [
        ([], [GRANTED], [GRANTED]),
        ([GRANTED], [GRANTED], []),
        ([GRANTED], [REVOKED], [REVOKED]),
        ([REVOKED], [GRANTED], []),
        ([REVOKED], [AGAIN], [AGAIN]),
        ([AGAIN], [REVOKED], []),
        ([], [REVOKED, ALL], []),
        ([GRANTED, OTHER], [ALL], [ALL]),
        ([ALL], [GRANTED, OTHER, AGAIN], [AGAIN]),
        ([AGAIN], [ALL], []),
    ],
)
def test_what_is_missed_is_what_is_newer_and_matters(
    known: list[Grant], told: list[Grant], expected: list[Grant]
) -> None:
    assert missing(known, told) == expected
