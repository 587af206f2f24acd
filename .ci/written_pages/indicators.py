"""docs/INDICATORS.md, from `domain/indicators.py`."""

from __future__ import annotations

from chronos_assets.domain.indicators import SETS, TARGETS
from written_pages.common import NOTE, wrapped


def indicators_page() -> str:
    """Every set of indicators and every target, with formulas and sources."""
    lines = [
        "# Indicators from prices alone",
        NOTE,
        "",
        *wrapped(
            "Two commands take a file of prices to trades. The first computes indicators and targets and writes the manifest, with the "
            "horizon of each target; the second runs the whole lineage."
        ),
        "",
        "```bash",
        "chronos indicators btc_1h_prices.csv -o exports/btc_1h.csv    # add --preset, --format or --accept-proposal for a vendor's file",
        "chronos run btc_1h_v1",
        "```",
        "",
        *wrapped(
            "The prices need Open, High, Low and Close; without Volume the indicators that use it are left out. Times are in UTC. The "
            "first bars, in which a window is not yet full, are left out. New columns are rounded to eight decimals; prices are written in "
            "full. Appended bars change no line that was written. Memory is bounded, whatever the number of bars."
        ),
        "",
        *wrapped(
            "C, O, H, L, V are close, open, high, low and volume of bar t, C[n] is the close n bars earlier, and ATR(n) is the mean over n "
            "bars of max(H, C[1]) - min(L, C[1]); log ATR is that mean of logarithms. An indicator uses its own bar and earlier ones only: "
            "a test changes all later bars and compares to the last bit."
        ),
    ]
    for name, chosen in SETS.items():
        lines += ["", f"## --set {name}", "", "| indicator | formula | source |", "|---|---|---|"]
        lines += [f"| `{item.name}` | {item.formula.replace('|', chr(92) + '|')} | {item.source} |" for item in chosen]
    lines += ["", "## --targets", "", "| option | column | formula | `target_horizon` |", "|---|---|---|---|"]
    lines += [f"| `{option}` | `{target.name}` | {target.formula} | {target.horizon} |" for option, target in TARGETS.items()]
    return "\n".join(lines) + "\n"
