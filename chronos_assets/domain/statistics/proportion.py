"""The interval of a proportion. Written out here, because importing `scipy.stats` for it takes a second of each night."""

from __future__ import annotations

import math

from scipy.special import ndtri


def wilson_interval(hits: int, count: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval (1927; Brown, Cai, DasGupta 2001) of `hits` in `count` >= 1 independent trials, as fractions of 1."""
    z = float(ndtri(0.5 + 0.5 * confidence))
    share = hits / count
    scale = 2 * (count + z**2)
    center = (2 * count * share + z**2) / scale
    half = z / scale * math.sqrt(4 * count * share * (1 - share) + z**2)
    return (0.0 if hits == 0 else center - half), (1.0 if hits == count else center + half)
