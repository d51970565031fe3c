"""Choose slides of a data set to hold out, as a list for a recipe's ``without``.

    python -m studies.hold_out $METAPHASE_DATA/ami_br/annotations.json > recipes/ami_br_held_out.txt

A share of the groups (slides) of every scanner is drawn with the seed, at least one.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset


def held_out(dataset: Dataset, share: float, seed: int) -> dict[str, list[str]]:
    """Return the groups that are held out, by scanner.

    Groups are ranked by how many cases they have and one is drawn of each 1/share neighbours, so
    that about the same share of the crops goes with them.
    """
    step = max(2, round(1 / share))
    chosen = {}
    for scanner, cases in dataset.by_domain("scanner").items():
        sizes = {name: len(group) for name, group in cases.by_domain("group").items()}
        ranked = sorted(sizes, key=lambda group: (-sizes[group], group))
        strata = [ranked[start : start + step] for start in range(0, len(ranked), step)]
        if len(strata) > 1 and len(strata[-1]) <= step / 2:
            strata[-2] += strata.pop()
        drawn = (min(stratum, key=lambda group: _rank(group, seed)) for stratum in strata)
        chosen[scanner] = sorted(drawn)
    return chosen


def _rank(group: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    dataset = load_dataset(given.labels)
    print(f"# Slides of {dataset.name} to measure folds on: {given.share:g} of each scanner's,")
    print(f"# drawn by seed {given.seed}. Written by: python -m studies.hold_out LABELS "
          f"--share {given.share:g} --seed {given.seed}")  # fmt: skip
    for scanner, groups in held_out(dataset, given.share, given.seed).items():
        cases = dataset.by_domain("scanner")[scanner]
        crops = sum(case.domain("group") in groups for case in cases)
        of = len(cases.by_domain("group"))
        print(f"# {scanner}: {len(groups)} of {of} slides, {crops} of {len(cases)} crops")
        print(*(f"group:{group}" for group in groups), sep="\n")


if __name__ == "__main__":
    main()
