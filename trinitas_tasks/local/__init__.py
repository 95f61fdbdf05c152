"""The embedded stack: Valkey, Chroma, the workers and beat under one supervisor, in one data directory."""
