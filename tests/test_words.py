"""Names and text use the field's terms: words that were replaced do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "docs", "studies", "benchmarks", "recipes")
FILES = ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")
SUFFIXES = {".py", ".md", ".toml", ".html", ".css", ".js", ".txt", ".ipynb", ".yml"}

REPLACED = {
    "told|tells?|tellers?|telling": "say, state, report, print, show; provenance, progress",
    "unasked": "by default",
    "comes? along|came along": "bundled",
    "second[ _-]?looks?": "second stage",
    "first[ _-]?looks?": "tile filter",
    "lookers?": "candidate classifier",
    "looks?[ _]again|looked[ _]again": "rescore",
    "takers?": "matchers",
    "quilts?|quilted": "mosaics",
    "decoys?": "pasted negatives",
    "restain(ed|s|ing)?": "stain transfer",
    "familiarity": "domain shift",
    "ledgers?": "review state",
    "othertools": "foreign detections",
    "own[ _-]stains": "keep stains",
    "exchanged? stains|stains exchanged|exchange of stains": "stain normalisation",
    "map_ahead": "prefetch",
    "mend(ed|s|ing)?": "fix, correct, repair",
    "sewn|sews?": "assembled",
    "nobody|somebody": "no one, a person, unlabelled",
    "wherefrom|whereof|wherein": "plain words",
}
"""Words, as regular expressions, and what to write instead. A name such as ``_told`` counts too."""

OLD_WORD = "old word"
"""A comment that allows a line to hold a replaced word: an old key that is still read."""

_SKIPPED = ("vendor/", "zoo/")
_PATTERNS = {
    re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE): instead
    for words, instead in REPLACED.items()
}


def texts() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and not any(part in path.as_posix() for part in _SKIPPED):
                yield path
    yield from (ROOT / name for name in FILES)


def replaced_words(text: str) -> list[tuple[int, str, str]]:
    """Return line, word and what to write instead."""
    return [
        (number, match.group(), instead)
        for number, line in enumerate(text.splitlines(), 1)
        if OLD_WORD not in line
        for pattern, instead in _PATTERNS.items()
        for match in pattern.finditer(line)
    ]


@pytest.mark.parametrize("path", list(texts()), ids=lambda path: str(path.relative_to(ROOT)))
def test_replaced_words_do_not_come_back(path: Path) -> None:
    problems = [
        f"{path.relative_to(ROOT)}:{number}: {word!r} (write: {instead})"
        for number, word, instead in replaced_words(path.read_text(encoding="utf-8"))
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("the card tells it", 1),
        ("def _told(self):", 1),
        ("Second look", 1),
        ("first_look and second-look", 2),
        ("a retelling of the castellation", 0),
        ("stream.seek(0, 2)", 0),
        ('"restain": "stain_transfer",  # old word', 0),
    ],
)
def test_the_check_itself(line: str, count: int) -> None:
    assert len(replaced_words(line)) == count
