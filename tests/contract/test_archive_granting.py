"""What every archive promises about grants."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import key, row
from trinitas_tasks.model import Key
from trinitas_tasks.policy.grants import EVERYBODY, Grant, holders
from trinitas_tasks.tiers.archive.interface import Archive

KEY = Key("athena", "m1")
numbers = itertools.count()


def granted(version: int, grantee: str = "hera", key: Key = KEY) -> Grant:
    return Grant(key, grantee, version, revoked=False)


def revoked(version: int, grantee: str = "hera", key: Key = KEY) -> Grant:
    return Grant(key, grantee, version, revoked=True)


def kept(archive: Archive, key: Key = KEY) -> list[Grant]:
    return archive.grants(key.persona, [key.id])[0]


def test_grants_and_marks_are_kept_in_the_order_asked_for(archive: Archive) -> None:
    other = Key("athena", "b:1")
    archive.put_grants([granted(5), revoked(6, "zeus"), granted(7, key=other), granted(8, key=Key("hera", "m1"))])
    assert archive.grants("athena", ["b:1", "nobody", "m1", "m1"]) == [
        [granted(7, key=other)], [], [granted(5), revoked(6, "zeus")], [granted(5), revoked(6, "zeus")],
    ]  # fmt: skip
    assert archive.grants("athena", []) == []
    archive.put_grants([])


@pytest.mark.parametrize("order", [1, -1])
def test_the_higher_version_wins_in_whatever_order_they_come(archive: Archive, order: int) -> None:
    told = [granted(5), revoked(6), granted(7), revoked(8, "zeus"), granted(7, "zeus")][::order]
    for each in told:
        archive.put_grants([each])
    archive.put_grants(told)
    assert kept(archive) == [granted(7), revoked(8, "zeus")]


@pytest.mark.parametrize("order", [1, -1])
def test_the_mark_for_all_ends_what_is_older(archive: Archive, order: int) -> None:
    for each in [granted(5), granted(8, "zeus"), revoked(7, EVERYBODY)][::order]:
        archive.put_grants([each])
    assert holders(kept(archive)) == {"zeus"}
    assert [each for each in kept(archive) if not each.revoked] == [granted(8, "zeus")]


def test_erasing_ends_what_was_granted_before(archive: Archive) -> None:
    archive.store([row(version=5)])
    archive.put_grants([granted(6), granted(9, "zeus"), granted(6, key=Key("athena", "m2"))])
    archive.erase([(KEY, 8)])
    assert kept(archive) == [revoked(8), granted(9, "zeus")]
    assert kept(archive, Key("athena", "m2")) == [granted(6, key=Key("athena", "m2"))]
    archive.put_grants([granted(7)])
    assert holders(kept(archive)) == {"zeus"}


def test_what_is_told_after_the_erasure_counts_only_if_it_is_newer(archive: Archive) -> None:
    archive.store([row(version=5)])
    archive.erase([(KEY, 8)])
    archive.put_grants([granted(7), granted(9, "zeus")])
    assert holders(kept(archive)) == {"zeus"}


def test_grants_outlive_a_replacement(archive: Archive) -> None:
    archive.store([row(version=5)])
    archive.put_grants([granted(6)])
    archive.store([row("other", version=7)])
    assert kept(archive) == [granted(6)]


def test_a_grant_of_what_is_not_archived_yet_is_kept(archive: Archive) -> None:
    archive.put_grants([granted(6)])
    archive.store([row(version=5)])
    assert (key(row()), kept(archive)) == (KEY, [granted(6)])


def test_the_highest_version_may_be_that_of_a_grant(archive: Archive) -> None:
    archive.store([row(version=5)])
    archive.put_grants([granted(6), revoked(9, "zeus")])
    assert archive.highest() == 9


def test_many_are_read_at_once(archive: Archive) -> None:
    keys = [Key("athena", f"m{number}") for number in range(1200)]
    archive.put_grants([granted(number + 1, key=each) for number, each in enumerate(keys)])
    found = archive.grants("athena", [each.id for each in keys])
    assert found == [[granted(number + 1, key=each)] for number, each in enumerate(keys)]


TOLD = st.lists(
    st.tuples(st.sampled_from(("hera", "zeus", EVERYBODY)), st.integers(1, 6), st.booleans()), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=TOLD, data=st.data())
def test_the_order_and_the_number_of_times_do_not_matter(
    archive: Archive, told: list[tuple[str, int, bool]], data: st.DataObject
) -> None:
    # of one version there is one account, and "everybody" is never granted anything
    unique = {(name, version): revoked or name == EVERYBODY for name, version, revoked in told}
    outcomes = []
    for again in (False, True):
        key = Key("athena", f"n{next(numbers)}")
        grants = [Grant(key, name, version, revoked) for (name, version), revoked in unique.items()]
        for each in data.draw(st.permutations(grants)) + (grants if again else []):
            archive.put_grants([each])
        outcomes.append(holders(kept(archive, key)))
    newest = {name: max(version for other, version in unique if other == name) for name, _ in unique}
    floor = newest.pop(EVERYBODY, 0)
    expected = {name for name, version in newest.items() if version > floor and not unique[name, version]}
    assert outcomes == [expected, expected]
