"""The published splits of MIDOG 2021: the challenge's own, and those of a university exercise."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from metaphase.labels.split import Split

# The validation list of the MIDOG 2021 challenge: ten images of each labelled scanner.
_VALIDATION = (
    *(2, 5, 10, 11, 24, 27, 32, 38, 46, 50),
    *(57, 58, 63, 65, 74, 83, 86, 91, 94, 100),
    *(106, 111, 114, 116, 117, 123, 134, 142, 145, 148),
)
# The unlabelled images that the challenge's list adds to it.
_UNLABELLED_VALIDATION = (151, 159, 171, 172, 175, 178, 182, 184, 185, 188)
_LABELLED = range(1, 151)
_UNLABELLED = range(151, 201)
_NOT_IN_THE_EXERCISE = 6


def midog21_official() -> Split:
    """Return the list of the MIDOG 2021 challenge: 120 for training, 30 for validation.

    Its unlabelled images (151 to 200) are listed under ``unlabelled``.
    """
    return Split(
        name="midog21-official",
        training=_named(n for n in _LABELLED if n not in _VALIDATION),
        validation=_named(_VALIDATION),
        unlabelled=_named(_UNLABELLED),
        note="the MIDOG 2021 challenge's train and valid lists; 151 to 200 have no labels",
    )


def exercise_split(repaired: bool = True) -> Split:
    """Return the lists of the university exercise on MIDOG 2021: training and test.

    They are the challenge's lists without image 006. ``repaired`` is as the report used them (119
    and 30); otherwise as handed out (159 and 40), with unlabelled images, which ``check_split``
    refuses.
    """
    training = [n for n in _LABELLED if n not in _VALIDATION and n != _NOT_IN_THE_EXERCISE]
    test = list(_VALIDATION)
    if not repaired:
        training += [n for n in _UNLABELLED if n not in _UNLABELLED_VALIDATION]
        test += _UNLABELLED_VALIDATION
    return Split(
        name="exercise" if repaired else "exercise-as-handed-out",
        training=_named(training),
        test=_named(test),
        unlabelled=_named(_UNLABELLED) if repaired else (),
        note="the exercise's lists"
        + (" without their unlabelled images" if repaired else ", unlabelled images included"),
    )


def _named(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{number:03d}" for number in numbers)


PUBLISHED: dict[str, Callable[[], Split]] = {
    "midog21-official": midog21_official,
    "exercise": exercise_split,
    "exercise-as-handed-out": lambda: exercise_split(repaired=False),
}
"""The published splits by name."""
