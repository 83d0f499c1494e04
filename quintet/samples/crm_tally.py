"""What became of the applications of a simulated CRM, in numbers."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """The results by application. milliseconds: from commit to decision, without interruption.

    repeated_milliseconds: the same if the commit or the request had to be repeated. answers: the texts of the answers.
    refused: the service's reasons for refusing.
    """

    committed: set[int] = field(default_factory=set)
    answers: dict[int, set[str]] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    repeated_milliseconds: list[float] = field(default_factory=list)
    decisions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refused: dict[int, str] = field(default_factory=dict)
    acted: int = 0

    @property
    def lost(self) -> set[int]:
        """Applications that were committed and never answered."""
        return self.committed - self.answers.keys()

    @property
    def doubled(self) -> set[int]:
        """Applications with two different answers."""
        return {application for application, texts in self.answers.items() if len(texts) > 1}

    def percentile(self, share: int) -> float:
        """Return the time, ms, within which this percentage of uninterrupted applications was decided."""
        if len(self.milliseconds) < 2:
            return self.milliseconds[0] if self.milliseconds else float("nan")
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[share - 1]

    def in_words(self) -> str:
        """Return the figures as lines of text."""
        decided = sum(self.decisions.values())
        shares = ", ".join(f"{name} {count / decided:.0%}" for name, count in sorted(self.decisions.items()))
        slowest = max(self.milliseconds, default=float("nan"))
        lines = [
            f"{len(self.committed):,} applications committed, {decided:,} decided: {shares or 'none'}; "
            f"{self.acted:,} paid out",
            f"commit to decision: p50 {self.percentile(50):.1f} ms, p99 {self.percentile(99):.1f} ms, "
            f"slowest {slowest:.0f} ms",
            f"lost {len(self.lost)}, doubled {len(self.doubled)}, refused {len(self.refused)}",
        ]
        if self.repeated_milliseconds:
            lines.append(
                f"{len(self.repeated_milliseconds):,} had to be requested or committed again, "
                f"slowest {max(self.repeated_milliseconds):.0f} ms"
            )
        lines += [f"refused: {why}" for why in sorted(set(self.refused.values()))[:3]]
        return "\n".join(lines)
