"""Which model is whose, and how models are held."""

from __future__ import annotations

import pytest

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.embedding.models import AGAIN_SECONDS, Chosen, Models, Shelf, chosen_by, refuse_twins
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import InvalidQuery, ModelError
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.personas import Persona

USUAL = Chosen("/models/usual")
E5 = Chosen("/models/e5")


class Folder:
    """Loads models, while they are there."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.missing: set[str] = set()
        self.seconds = 0.0
        self.shelf = Shelf(self.load, lambda: self.seconds)

    def load(self, chosen: Chosen) -> Embedder:
        self.loaded.append(chosen.name)
        if chosen.name in self.missing:
            raise ModelError(f"{chosen.model} is not there")
        return HashEmbedder()


@pytest.fixture
def folder() -> Folder:
    return Folder()


def test_a_model_is_loaded_once_when_it_is_needed(folder: Folder) -> None:
    usual = HashEmbedder()
    models = Models(lambda: usual, Naming("usual", {"zoe": "e5", "nyx": "e5"}), {"zoe": E5, "nyx": E5}, folder.shelf)
    assert models.of("athena") is usual
    assert folder.loaded == []
    assert models.of("zoe") is models.of("nyx") is models.of("zoe")
    assert folder.loaded == ["e5"]


def test_what_could_not_be_loaded_fails_at_once_for_a_while(folder: Folder) -> None:
    folder.missing = {"e5"}
    for _ in range(3):
        with pytest.raises(ModelError, match="/models/e5 is not there"):
            folder.shelf.get(E5)
    assert folder.loaded == ["e5"]
    folder.missing = set()
    with pytest.raises(ModelError):
        folder.shelf.get(E5)
    folder.seconds += AGAIN_SECONDS + 1
    folder.shelf.get(E5)
    assert folder.loaded == ["e5", "e5"]


def test_whoever_defines_a_persona_need_not_wait(folder: Folder) -> None:
    folder.missing = {"e5"}
    with pytest.raises(ModelError):
        folder.shelf.get(E5)
    folder.missing = set()
    assert folder.shelf.get(E5, anew=True) is folder.shelf.get(E5)


def test_what_nobody_has_any_more_is_given_back(folder: Folder) -> None:
    other = Chosen("/models/other")
    kept = folder.shelf.get(E5)
    folder.shelf.get(other)
    folder.shelf.keep_only({E5})
    assert folder.shelf.get(E5) is kept
    folder.shelf.get(other)
    assert folder.loaded == ["e5", "other", "other"]


def test_a_persona_with_the_usual_model_has_none_of_its_own() -> None:
    assert chosen_by(Persona(name="zoe"), USUAL) is None
    assert chosen_by(Persona(name="zoe", model=USUAL.model), USUAL) is None
    assert chosen_by(Persona(name="zoe", model=E5.model, model_sha256="a" * 64), USUAL) == Chosen(E5.model, "a" * 64)


@pytest.mark.parametrize("model", ["/other/usual", "/other/e5", "e5/"])
def test_two_models_of_one_name_are_not_used_at_a_time(model: str) -> None:
    defined = {"nyx": Persona(name="nyx", model=E5.model)}
    with pytest.raises(InvalidQuery, match=r"has the name of /models/.*: vectors are told apart by the model's name"):
        refuse_twins(Persona(name="zoe", model=model), defined, USUAL)


def test_several_personas_may_have_one_model() -> None:
    defined = {"nyx": Persona(name="nyx", model=E5.model)}
    refuse_twins(Persona(name="zoe", model=E5.model), defined, USUAL)
    refuse_twins(Persona(name="zoe", model=USUAL.model), defined, USUAL)
    refuse_twins(Persona(name="zoe"), defined, USUAL)


@pytest.mark.parametrize(
    "fields", [{"model": ""}, {"model": "/"}, {"model": "x" * 256}, {"model": "m", "model_sha256": "abc"}]
)
def test_what_names_no_model_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery, match=r"^model"):
        Persona.build(name="zoe", **fields)
