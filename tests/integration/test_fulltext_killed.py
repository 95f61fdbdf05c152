"""A search worker killed at any moment leaves an index that goes on from where it was."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from tests.contract.archives import url_of
from tests.integration.killed_index import WORDS
from trinitas_tasks.policy.text import query_terms
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.lexical.interface import Wanted
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical

KILLS = 6


def test_a_killed_worker_leaves_an_index_that_goes_on(tmp_path: Path) -> None:
    archive = SqlArchive(url_of(tmp_path / "archive.db"))
    archive.migrate()
    archive.close()
    chance = random.Random(4)
    for seed in range(KILLS):
        command = [sys.executable, "-m", "tests.integration.killed_index"]
        arguments = [url_of(tmp_path / "archive.db"), str(tmp_path / "fulltext"), str(seed)]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline()  # it has committed once
            time.sleep(chance.uniform(0, 0.3))  # the moment of the kill: any will do
            worker.kill()
    archive = SqlArchive(url_of(tmp_path / "archive.db"))
    lexical = TantivyLexical(tmp_path / "fulltext")
    assert 0 < lexical.position().change <= archive.position().change
    text, fresh = FullText(archive, lexical), FullText(archive, MemoryLexical())
    fresh.tend()
    for tended in (False, True):
        for word in WORDS:
            wanted = Wanted(query_terms(word))
            expected = {match.id for match in fresh.search("athena", wanted, 100)}
            assert {match.id for match in text.search("athena", wanted, 100)} == expected, (word, tended)
        text.tend()
    text.close()
    archive.close()
