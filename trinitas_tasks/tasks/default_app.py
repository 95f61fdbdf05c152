"""The tasks in Celery's default application: what `celery --config celeryconfig …` without `-A` loads."""

from __future__ import annotations

from celery import current_app

from trinitas_tasks.tasks.app import register
from trinitas_tasks.tasks.worker import runtime

register(current_app._get_current_object(), runtime)
