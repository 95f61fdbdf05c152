"""For `celery --config celeryconfig worker -Q search …`: what the package itself uses.

The values come from trinitas_tasks/tasks/config.py and from your settings (environment, .env, config/memory.yaml).
"""

from trinitas_tasks.settings import load_settings
from trinitas_tasks.tasks.config import worker_config

globals().update(worker_config(load_settings()))

imports = ("trinitas_tasks.tasks.default_app",)
