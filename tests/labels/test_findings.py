from __future__ import annotations

from metaphase.errors import Problem
from metaphase.labels.findings import finding_lines


def problem(record: str, message: str) -> Problem:
    return Problem("a.json", record, message, "correct it")


def test_a_few_findings_are_listed() -> None:
    findings = [problem(f"annotation {i}", f"lies outside: {i}") for i in range(3)]
    assert list(finding_lines(findings)) == [f"  - {finding}" for finding in findings]


def test_many_of_one_kind_are_one_line_with_an_example() -> None:
    findings = [problem(f"annotation {i}", f"lies outside: {i}") for i in range(4)]
    lines = list(finding_lines([*findings, problem("b", "is wrong")]))
    assert lines[0] == "  - a.json: 4 times: lies outside (the first: annotation 0: 0)"
    assert lines[-1] == "  - a.json: b: is wrong (correct it)"
    assert len(list(finding_lines(findings, every=True))) == 4
