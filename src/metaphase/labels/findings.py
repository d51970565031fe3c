"""Problems and notes as lines of text; many of one kind become one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from metaphase.errors import Problem

MOST_OF_ONE_KIND = 3


def finding_lines(findings: Iterable[Problem], *, every: bool = False) -> Iterator[str]:
    """Yield a line for each finding; over three of one kind become one line with an example.

    Findings are of one kind if file and message up to a colon are the same. ``every``: list all.
    """
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for finding in findings:
        kinds.setdefault((finding.file, finding.message.partition(":")[0]), []).append(finding)
    for (file, message), group in kinds.items():
        if every or len(group) <= MOST_OF_ONE_KIND:
            yield from (f"  - {finding}" for finding in group)
        else:
            yield from _summary(file, message, group)


def _summary(file: str, message: str, group: Sequence[Problem]) -> Iterator[str]:
    rest = group[0].message.removeprefix(message).lstrip(": ")
    example = f"{group[0].record}{': ' if rest else ''}{rest}"
    yield f"  - {file}: {len(group)} times: {message} (the first: {example})"
    if group[0].way_out:
        yield f"    ({group[0].way_out})"
    yield "    (--all-findings lists them)"
