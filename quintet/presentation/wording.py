"""Counts in words, with the singular or the plural of what is counted."""

from __future__ import annotations


def counted(number: float, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 agency`, `1,204 agencies`, `0 files`.

    one: the noun in the singular, words before it included. many: its plural where `plural` would be wrong.
    """
    return f"{number:,.0f} {one if number == 1 else many or plural(one)}"


def lasting(seconds: float) -> str:
    """Return a duration in its largest whole unit: `42 seconds`, `5 minutes`, `3 hours`, `1,062 days`."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size * (2 if unit == "day" else 1):
            return counted(seconds // size, unit)
    return counted(seconds // 1, "second")


def sureness(probability: float) -> str:
    """Return how sure a statement is, for a reader who knows no statistics. probability: that it is true, 0 to 1."""
    if probability >= 0.999:
        return "Practically certain: chance alone does this less than once in 1,000 times."
    if probability >= 0.99:
        return "Very sure: chance alone does this less than once in 100 times."
    if probability >= 0.95:
        return "Sure enough to act: chance alone does this less than once in 20 times."
    return f"A hint, not a proof: it holds with a chance of about {probability:.0%}."


def plural(one: str) -> str:
    """Return the regular plural of an English noun."""
    if one.endswith(("s", "x", "z", "ch", "sh")):
        return f"{one}es"
    if one.endswith("y") and one[-2:-1] not in "aeiou":
        return f"{one[:-1]}ies"
    return f"{one}s"
