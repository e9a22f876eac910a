"""What a run of compared searches came to: how many, how many were served, what differed, by flag and by construct."""

from __future__ import annotations

from collections import Counter
from typing import Any

from curserve.verify.answers import Answer
from curserve.verify.commands import Command

RIGHTLY_DECLINED = frozenset(
    ("bad_flag", "bad_type", "bad_glob", "bad_pattern", "no_pattern", "regex_error", "regex_literal_newline",
     "regex_property")
)
"""Reasons where ripgrep answers with an error message, which is the real one's to print."""


class Tally:
    """Counters. `shares` are of the cases that are no errors."""

    def __init__(self) -> None:
        self.cases = self.served = self.printed = self.errors = 0
        self.passed_over = 0  # not in `cases`: there was nothing to compare
        self.seen: Counter[str] = Counter()
        self.seen_served: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.differences: list[str] = []

    def add(self, command: Command, answer: Answer, difference: str | None) -> None:
        """One case. difference: words that say how to have it again."""
        self.cases += 1
        self.served += answer.served
        self.printed += bool(answer.stdout)
        if difference is not None:
            self.differences.append(difference)
        if not answer.served:
            self.reasons[str(answer.reason)] += 1
            if answer.reason in RIGHTLY_DECLINED:
                self.errors += 1
                return
        for name in (*command.flags, *(f"regex:{construct}" for construct in command.constructs)):
            self.seen[name] += 1
            self.seen_served[name] += answer.served

    def merge(self, other: Tally) -> None:
        """Adds another run's numbers."""
        self.cases += other.cases
        self.served += other.served
        self.printed += other.printed
        self.errors += other.errors
        self.passed_over += other.passed_over
        self.seen += other.seen
        self.seen_served += other.seen_served
        self.reasons += other.reasons
        self.differences += other.differences

    def share_served(self) -> float:
        """Of the cases that are no errors."""
        return self.served / max(1, self.cases - self.errors)

    def worst(self) -> list[tuple[float, int, str]]:
        """Share served of each flag and construct, smallest first: (share, cases, name)."""
        return sorted((self.seen_served[name] / count, count, name) for name, count in self.seen.items())

    def facts(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "cases": self.cases,
            "passed_over": self.passed_over,
            "errors": self.errors,
            "served": self.served,
            "share_served": round(self.share_served(), 4),
            "printed": self.printed,
            "declined": dict(self.reasons.most_common()),
            "least_served": [
                {"name": name, "share": round(share, 4), "cases": count} for share, count, name in self.worst()[:12]
            ],
            "differences": self.differences,
        }

    def __str__(self) -> str:
        worst = ", ".join(f"{name} {share:.0%} of {count}" for share, count, name in self.worst()[:12])
        return (
            f"{self.cases} cases, {len(self.differences)} differences, {self.share_served():.1%} served "
            f"({self.errors} errors not counted), {self.printed / max(1, self.cases):.1%} printed something; "
            f"declined: {dict(self.reasons.most_common())}; least served: {worst}"
        )
