# One image a role, each with no more than the role needs: docker build --target base|flower|mcp|chroma|worker .
FROM python:3.13-slim AS python
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 trinitas && mkdir /data && chown trinitas /data
WORKDIR /app
COPY constraints.txt ./
VOLUME /data

# beat: the bare package.
FROM python AS base
COPY pyproject.toml README.md LICENSE ./
COPY trinitas_tasks trinitas_tasks
RUN pip install -c constraints.txt .
USER trinitas

# Chroma's server, of the version that the client is tested with, and its guard.
FROM base AS chroma
USER root
RUN pip install -c constraints.txt chromadb
USER trinitas

FROM base AS flower
USER root
RUN pip install -c constraints.txt flower
USER trinitas

FROM base AS mcp
USER root
RUN pip install -c constraints.txt ".[mcp]"
USER trinitas

# The workers: torch (its CPU build; lifecycle never loads it), the model, Chroma's client, SQLAlchemy.
FROM base AS worker
USER root
RUN pip install --no-deps -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch \
 && pip install -c constraints.txt ".[worker]"
USER trinitas
