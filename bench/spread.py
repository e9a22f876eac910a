"""A series of times in three numbers: the median and how far the rest lies from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of a series, in its unit (microseconds throughout this package). n: how many there were."""

    median: float
    p10: float
    p90: float
    n: int

    @classmethod
    def of(cls, series: Sequence[float]) -> Spread:
        """ValueError when the series is empty."""
        return cls(quantile(series, 0.5), quantile(series, 0.1), quantile(series, 0.9), len(series))

    def facts(self) -> dict[str, float]:
        """As JSON keeps it, rounded to a tenth."""
        return {key: round(value, 1) for key, value in asdict(self).items()}


def quantile(series: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the series lies, interpolated. ValueError when it is empty."""
    if not series:
        raise ValueError("quantile of nothing")
    ordered = sorted(series)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
