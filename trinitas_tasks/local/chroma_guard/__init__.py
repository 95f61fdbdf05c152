"""Runs Chroma's server and keeps it healthy: `python -m trinitas_tasks.local.chroma_guard --help`.

Chroma answers its heartbeat in every state, also over a database that was deleted or torn, and does not repair
itself. Everything in it is derived from the archive, so a folder that it can no longer use is set aside, and an
empty one is filled again by the workers.
"""
