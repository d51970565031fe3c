import io

from rich.console import Console

from metaphase.evaluation.comparison import compare
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.tables import comparison, print_scores, side_by_side, summary_lines
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found


def test_tables_show_what_has_no_value_as_a_dash():
    dataset = Dataset([case("a", scanner="A"), case("b", [(9, 9)], scanner="B")])
    scores = evaluate({"a": found("a"), "b": found("b")}, dataset, protocol="exercise")
    console = Console(width=80, file=io.StringIO())
    print_scores(scores, console, per_case=True)
    text = console.file.getvalue()
    precision = next(line for line in text.splitlines() if line.strip().startswith("precision"))
    assert precision.split()[1] == "-"
    assert "not comparable" in text
    assert "By scanner" in text
    assert "By case" in text


def test_detected_hard_negatives_are_not_scored_but_counted():
    dataset = Dataset([case("a", [(100, 100)], [(300, 300)])])
    detections = {"a": found("a", [(100, 100), (300, 300)], [0.9, 0.9], [0, 1])}
    scores = evaluate(detections, dataset)
    assert scores.overall.counts == Counts(1, 0, 0)
    assert scores.hard_negative_class == {"detected": 1, "labelled": 1}
    assert any("hard negatives (" in line for line in summary_lines(scores))


def test_names_with_brackets_are_no_markup():
    name = "[/red] slide [bold]"
    dataset = Dataset([case(name, [(9, 9)], scanner="[/x]"), case("b", scanner="[S]")])
    detections = {one: found(one, [(9, 9)], [0.9], trained_on=True) for one in dataset.ids}
    scores = evaluate(detections, dataset)
    text = io.StringIO()
    console = Console(file=text, width=200)
    print_scores(scores, console, per_case=True)
    console.print(side_by_side([scores, scores], [name, "b"], by="scanner"))
    console.print(comparison(compare(scores, scores, resamples=9), name, "[/y]"))
    assert text.getvalue().count(name) >= 4
    assert "[/x]" in text.getvalue()


def test_names_of_domains_are_readable_in_80_columns():
    names = ("Hamamatsu XR", "Aperio CS2")
    dataset = Dataset([case(n, [(9, 9)], scanner=s) for n, s in zip("ab", names, strict=True)])
    scores = evaluate({n: found(n, [(9, 9)], [0.9]) for n in "ab"}, dataset)
    text = io.StringIO()
    print_scores(with_intervals(scores, resamples=20), Console(file=text, width=80))
    assert all(name.split()[0] in text.getvalue() for name in names)
    assert max(map(len, text.getvalue().splitlines())) <= 80
