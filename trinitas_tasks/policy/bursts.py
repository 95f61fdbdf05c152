"""What is unusual: a count in one hour, a share of searches without a hit, each against the hours before.

A count is compared on the scale on which counts vary alike whatever their mean (Anscombe, Biometrika 35, 1948):

    z = 2 (sqrt(count + 3/8) - sqrt(mean + 3/8)) / sqrt(dispersion (1 + 1/hours))

where the dispersion is variance over mean as it was before, at least 1 (Poisson): load that comes in waves anyway must
rise higher to be unusual. Shares are compared by two proportions with one success and one failure added to each
(Agresti and Caffo, The American Statistician 54, 2000), so that one search without a hit is no alarm; their dispersion
is Pearson's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import Final, Literal

Severity = Literal["info", "warning", "critical"]

MIN_HOURS: Final = 6
"""Against fewer hours nothing is unusual."""
LEVELS: Final[tuple[tuple[float, Severity], ...]] = ((7.0, "critical"), (5.0, "warning"), (3.5, "info"))
"""From which z on. Of a steady load 3.5 comes once in some thousands of hours."""


def unusual(count: int, before: Sequence[int]) -> float:
    """How far above (or below: negative) earlier hours the count is, in standard deviations."""
    if len(before) < MIN_HOURS:
        return 0.0
    mean = fmean(before)
    dispersion = max(variance(before) / mean, 1.0) if mean else 1.0
    distance = 2 * (math.sqrt(count + 0.375) - math.sqrt(mean + 0.375))
    return distance / math.sqrt(dispersion * (1 + 1 / len(before)))


def dropped(empty: int, asked: int, before: Sequence[tuple[int, int]]) -> float:
    """How far the share of searches without a hit has risen, in standard deviations; ``before`` holds (empty, asked)
    of earlier hours."""
    earlier_empty, earlier_asked = sum(e for e, _ in before), sum(n for _, n in before)
    if not asked or not earlier_asked:
        return 0.0
    now, now_variance = _share(empty, asked)
    then, then_variance = _share(earlier_empty, earlier_asked)
    return (now - then) / math.sqrt((now_variance + then_variance) * _dispersion(before))


def severity(z: float) -> Severity | None:
    """How loudly to tell; None: not at all."""
    return next((level for least, level in LEVELS if z >= least), None)


def _share(hits: int, of: int) -> tuple[float, float]:
    share = (hits + 1) / (of + 2)
    return share, share * (1 - share) / (of + 2)


def _dispersion(before: Sequence[tuple[int, int]]) -> float:
    """How much more the shares of the hours differ than chance makes them, at least 1."""
    hours = [(empty, asked) for empty, asked in before if asked]
    share = sum(empty for empty, _ in hours) / sum(asked for _, asked in hours)
    if len(hours) < MIN_HOURS or share in (0.0, 1.0):
        return 1.0
    chi_square = sum((empty - asked * share) ** 2 / (asked * share * (1 - share)) for empty, asked in hours)
    return max(chi_square / (len(hours) - 1), 1.0)
