"""Runs what an ingest worker runs, and kills or stops itself after a step.

Arguments: the folder of the site, the port and the password of its Redis, the port of its Chroma, the step
('none': goes on until nothing is due) and the signal that it gives itself there.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.integration.site import Site, jobs
from tests.support import Valkey
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors

NAMESPACE = "trinitas"


def main(folder: Path, redis_port: int, password: str, chroma_port: int, step: str, sign: str) -> None:
    def end_at(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.Signals[sign])

    site = Site(folder, Valkey(folder, port=redis_port, password=password))
    vectors = ChromaVectors("127.0.0.1", chroma_port, namespace=NAMESPACE, model="stub", deadline_ms=10_000)
    run = jobs(site.runtime(vectors=vectors, step=end_at))
    run.ingest()
    run.runtime.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5], sys.argv[6])
