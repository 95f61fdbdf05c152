"""The shape of the package: who imports whom, and that every task has a queue and every tick a task."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import load_settings
from trinitas_tasks.tasks.app import ANSWERED, create_app
from trinitas_tasks.tasks.config import QUEUES, ROUTES, producer_config, schedule, worker_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRINITAS_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@127.0.0.1:1/3")
    monkeypatch.setenv("TRINITAS_NAMESPACE", "other")


@pytest.fixture
def app() -> Iterator[Celery]:
    settings = load_settings()
    made = create_app(settings, Runtime(settings))
    yield made
    made.close()


def tasks_of(app: Celery) -> set[str]:
    return {name for name in app.tasks if name.startswith("trinitas.")}


def test_imports_point_downward() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_file_says_what_the_package_uses() -> None:
    said = runpy.run_path(str(ROOT / "celeryconfig.py"))
    expected = worker_config(load_settings())
    assert expected["broker_url"] == "redis://:s3cret@127.0.0.1:1/3"
    assert {name: said[name] for name in expected} == expected


def test_a_celery_of_the_configuration_file_is_configured_as_the_packages_own(app: Celery) -> None:
    said = runpy.run_path(str(ROOT / "celeryconfig.py"))
    with Celery("somebody", set_as_current=False) as other:
        other.config_from_object({name: said[name] for name in worker_config(load_settings())})
        for name in worker_config(load_settings()):
            assert other.conf[name] == app.conf[name]


def test_every_task_is_routed_to_a_queue_that_is_served(app: Celery) -> None:
    assert tasks_of(app) == set(ROUTES)
    assert set(ROUTES.values()) <= set(QUEUES)
    for name in tasks_of(app):
        assert app.amqp.router.route({}, name)["queue"].name == ROUTES[name]
    assert {queue.name for queue in app.conf.task_queues} == set(QUEUES)


def test_every_tick_of_beat_names_a_task_and_ends_before_the_next(app: Celery) -> None:
    for entry in schedule(load_settings()).values():
        assert entry["task"] in tasks_of(app)
        assert entry["options"]["expires"] <= entry["schedule"]


def test_only_answers_that_somebody_waits_for_are_kept(app: Celery) -> None:
    answered = {f"trinitas.{name}" for name in ANSWERED}
    assert tasks_of(app) >= answered
    for name in tasks_of(app):
        assert app.tasks[name].ignore_result == (name not in answered)


def test_every_task_says_what_it_does(app: Celery) -> None:
    assert all(app.tasks[name].__doc__ for name in tasks_of(app))


def test_messages_are_json_and_stay_in_the_namespace() -> None:
    for config in (worker_config(load_settings()), producer_config(load_settings())):
        assert (config["task_serializer"], config["accept_content"]) == ("json", ["json"])
        for options in ("broker_transport_options", "result_backend_transport_options"):
            assert config[options]["global_keyprefix"] == "other:celery:"


def test_a_client_fails_fast_and_a_worker_waits() -> None:
    client, worker = producer_config(load_settings()), worker_config(load_settings())
    assert client["task_publish_retry"] is False
    assert client["broker_transport_options"]["max_retries"] == 0
    assert worker["broker_connection_max_retries"] is None
    assert worker["broker_connection_retry_on_startup"]
