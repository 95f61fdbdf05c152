"""What Redis says of itself, and how it is reached."""

from __future__ import annotations

from typing import Final

from trinitas_tasks.services.doctor.facts import Facts
from trinitas_tasks.services.doctor.verdict import Level, Verdict, fine, numbers

OLDEST: Final = (7,)
FULL_SHARE: Final = 0.9
SKEW_SECONDS: Final = (1.0, 30.0)
LAG_SECONDS: Final = 60.0


def redis(facts: Facts) -> Verdict:
    """Whether it answers."""
    if facts.redis_error:
        advice = "until it answers, writes wait in each machine's spool"
        return Verdict(Level.PROBLEM, facts.redis_error, advice)
    version = facts.redis.get("valkey_version")
    return fine(f"Valkey {version}" if version else f"Redis {facts.redis.get('redis_version', 'answers')}")


def redis_version(facts: Facts) -> Verdict | None:
    """Whether it is as new as the scripts need."""
    version = str(facts.redis.get("redis_version", ""))
    if not version:
        return None
    if numbers(version) < OLDEST:
        return Verdict(Level.PROBLEM, f"Redis {version}", "run Redis 7 or newer, or any Valkey")
    return fine(f"compatible with Redis {version}")


def durability(facts: Facts) -> Verdict | None:
    """Whether what is acknowledged survives."""
    if "aof_enabled" not in facts.redis:
        return None
    if not facts.redis["aof_enabled"]:
        found = "off: what is not archived yet is lost when Redis restarts"
        return Verdict(Level.PROBLEM, found, "appendonly yes, appendfsync always")
    if facts.redis.get("aof_last_write_status", "ok") != "ok":
        return Verdict(Level.PROBLEM, "Redis cannot write it", "check the disk of Redis: space, quota and health")
    match facts.redis.get("appendfsync"):
        case "always":
            return fine("appendfsync always")
        case "everysec":
            found = "appendfsync everysec: a power cut loses up to a second of acknowledged writes"
            return Verdict(Level.WARNING, found, "appendfsync always")
        case "no":
            found = "appendfsync no: a power cut loses what the system had not written, often 30 s of writes"
            return Verdict(Level.PROBLEM, found, "appendfsync always")
        case _:
            found = "on, but this Redis does not tell how often it is fsynced"
            return Verdict(Level.WARNING, found, "ask its operator for appendfsync always")


def eviction(facts: Facts) -> Verdict | None:
    """Whether only copies can be evicted."""
    policy = facts.redis.get("maxmemory_policy")
    if policy is None:
        return None
    if policy in ("volatile-lru", "noeviction"):
        return fine(str(policy))
    if str(policy).startswith("allkeys"):
        found = f"{policy} may evict the only copies and Celery's queues"
        return Verdict(Level.PROBLEM, found, "maxmemory-policy volatile-lru")
    found = f"{policy} evicts locks and answers that somebody waits for before old copies"
    return Verdict(Level.WARNING, found, "maxmemory-policy volatile-lru")


def role(facts: Facts) -> Verdict | None:
    """Whether it takes writes."""
    found = facts.redis.get("role")
    if found is None:
        return None
    if found != "master":
        return Verdict(Level.PROBLEM, "a replica: it takes no writes", "point REDIS_URL or REDIS_HOST at the primary")
    return fine("primary")


def memory(facts: Facts) -> Verdict | None:
    """Whether there is room for writes."""
    used, limit = facts.redis.get("used_memory"), facts.redis.get("maxmemory")
    if used is None or limit is None:
        return None
    if not int(limit):
        return fine(f"{int(used) >> 20:,} MB used, no limit of its own")
    found = f"{int(used) >> 20:,} of {int(limit) >> 20:,} MB used"
    if int(used) > FULL_SHARE * int(limit):
        return Verdict(Level.WARNING, found, "raise maxmemory: when copies are evicted, only writes are refused next")
    return fine(found)


def password(facts: Facts) -> Verdict | None:
    """Whether anybody but this machine gets at Redis without a password."""
    at = facts.address
    if at is None:
        return None
    if at.password:
        return fine("asked for")
    if not at.local or at.elsewhere:
        found = f"Redis at {at.elsewhere or at.where} wants no password: whoever reaches it reads and deletes all"
        return Verdict(Level.PROBLEM, found, "set requirepass, then REDIS_PASSWORD; or bind 127.0.0.1")
    return fine("none, but Redis is reached from this machine alone")


def clock(facts: Facts) -> Verdict | None:
    """Whether what is written while Redis is away will be ordered rightly beside what is not."""
    skew = facts.skew_seconds
    if skew is None:
        return None
    if abs(skew) <= SKEW_SECONDS[0]:
        return fine("as that of Redis")
    behind = "behind" if skew < 0 else "ahead of"
    found = (
        f"this machine is {abs(skew):.1f} s {behind} Redis: of writes made while Redis is away the wrong ones may win"
    )
    level = Level.PROBLEM if abs(skew) > SKEW_SECONDS[1] else Level.WARNING
    return Verdict(level, found, "let NTP set both clocks")


def outbox(facts: Facts) -> Verdict | None:
    """Whether memories are archived as they come."""
    if facts.outbox is None:
        return None
    if not facts.outbox:
        return fine("nothing waits to be archived")
    found = f"{facts.outbox:,} memories wait to be archived, the oldest for {facts.lag_seconds:.0f} s"
    if facts.lag_seconds > LAG_SECONDS:
        return Verdict(Level.WARNING, found, "`trinitas logs ingest` tells why; a second look tells whether it shrinks")
    return fine(found)
