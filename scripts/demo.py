"""The main job, watched: remember → embed → archive → recall, on real services. Started by scripts/demo."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from trinitas_tasks import MemoryClient, load_settings

PERSONA = "athena"
SAMPLE = files("trinitas_tasks") / "sample"
TRINITAS = Path(sys.executable).with_name("trinitas")

console = Console(highlight=False)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave the stack running")
    keep = options.parse_args().keep
    home = Path(tempfile.mkdtemp(prefix="trinitas-demo-"))
    try:
        run("up", "--detach", "--home", str(home))
        console.print("\n[bold]Importing the sample[/]: four months of a small team, in English and Japanese")
        run("import", str(SAMPLE / "memories.jsonl"), "--persona", PERSONA, "--wait", "--home", str(home))
        ask_questions(home)
        say_what_next(home, keep)
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        keep = False
        return 130
    finally:
        if not keep:
            subprocess.run([TRINITAS, "down", "--home", str(home)], check=False)
            shutil.rmtree(home, ignore_errors=True)
    return 0


def say_what_next(home: Path, keep: bool) -> None:
    at = f"--home {home}"
    steps = [
        f".venv/bin/trinitas recall 'who likes coffee?' --persona {PERSONA} {at}" if keep else "scripts/demo --keep",
        f".venv/bin/trinitas status {at}" if keep else ".venv/bin/trinitas up --detach",
        f".venv/bin/trinitas down {at}" if keep else ".venv/bin/trinitas --help",
        "the twelve lines of Python in README.md",
    ]
    console.print("\n  ".join(("[bold]Try next[/]", *steps, "")))


def run(*arguments: str) -> None:
    """One command of the command line, shown as a user would type it."""
    console.print(f"[dim]$ trinitas {' '.join(arguments)}[/]")
    subprocess.run([TRINITAS, *arguments], check=True)


def ask_questions(home: Path) -> None:
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [question for question in map(json.loads, lines) if question.get("demo")]
    with MemoryClient.connect(load_settings(overrides={"home": home}), persona=PERSONA) as memory:
        counted = memory.stats()
        console.print(
            f"{sum((counted.by_type or {}).values())} memories archived in SQL, {counted.vectors} vectors in Chroma, "
            f"{counted.pending} waiting\n"
        )
        for question in questions:
            found = memory.recall(question["text"], limit=3)
            console.print(f"[bold]{question['text']}[/]")
            for hit in found:
                mark = "[green]●[/]" if hit.item.id in question["evidence"] else "○"
                text = escape(" ".join(str(hit.item.content).split()))
                console.print(f"  {mark} {hit.score:.4f}  [dim]{explained(hit.why, hit.tier)}[/]")
                console.print(Padding(text, (0, 0, 0, 4)))
            console.print()
    console.print("● the memory that the question was written for; #1 is the first of that list\n")


def explained(why: object, tier: str) -> str:
    parts = dict(why) if isinstance(why, dict) else {}
    names = {"dense_rank": "Chroma #{}", "fulltext_rank": "full text #{}", "pending_rank": "unarchived #{}"}
    found = [text.format(parts[name]) for name, text in names.items() if name in parts]
    return f"{', '.join(found)}; read from {tier}"


if __name__ == "__main__":
    sys.exit(main())
