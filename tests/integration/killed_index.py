"""A search worker's index in a process of its own, which a test kills: archives turns and tends the index without end.

python -m tests.integration.killed_index ARCHIVE_URL INDEX_FOLDER SEED
"""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

from tests.contract.archives import row
from trinitas_tasks.model import Key
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical

WORDS = ("tea", "coffee", "grass", "pottery", "choir")


def main(url: str, folder: str, seed: str) -> None:
    chance = random.Random(int(seed))
    archive = SqlArchive(url)
    text = FullText(archive, TantivyLexical(Path(folder)))
    for number in itertools.count(archive.highest() + 1):
        turn = chance.randrange(40)
        if chance.random() < 0.2:
            archive.erase([(Key("athena", f"t{turn}"), number)])
        else:
            said = f"{chance.choice(WORDS)} {chance.choice(WORDS)}"
            archive.store([row(said, number, id=f"t{turn}", metadata={"session": turn // 10})])
        if number % 5 == 0:
            text.tend()
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
