"""Sizes as people read them, wherever the product shows one."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def byte_size(count: float, space: str = " ") -> str:
    """`count` bytes in decimal units with one digit after the point: `999 B`, `1.2 MB`. `space` goes between number and unit."""
    value, unit = float(count), _UNITS[0]
    for larger in _UNITS[1:]:
        if abs(value) < (1000 if unit == "B" else 999.95):
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f}{space}{unit}" if unit == "B" else f"{value:,.1f}{space}{unit}"
