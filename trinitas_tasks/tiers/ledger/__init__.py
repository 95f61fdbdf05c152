"""Tokens and the audit: what the doors of this machine know."""
