"""What a comparison of two networks says: paired differences and their intervals."""

import statistics

from scipy import stats


def paired_difference(one, other) -> dict:
    """Mean of ``one - other`` over pairs of numbers, with the 95 % interval of Student's t.

    Both lists are equally long. Returns mean, low, high and the number of pairs; with one pair there is no interval,
    and low and high are ``None``.
    """
    differences = [a - b for a, b in zip(one, other, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    if count < 2:
        return {"mean": mean, "low": None, "high": None, "pairs": count}
    half = float(stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / count**0.5
    return {"mean": mean, "low": mean - half, "high": mean + half, "pairs": count}


def interval_text(row, digits=3) -> str:
    """A paired difference as text: mean (low to high), with a sign."""
    mean, *ends = (row[name] if row[name] is None else f"{row[name]:+.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} (no interval)" if None in ends else f"{mean} ({ends[0]} to {ends[1]})"


def leaves_out_zero(row) -> bool:
    """Whether the 95 % interval of a paired difference lies on one side of 0. Without an interval it does not."""
    return row["low"] is not None and row["low"] * row["high"] > 0
