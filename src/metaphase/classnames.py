"""Which label a class name of another program stands for.

Only spellings that are known to mean one of the two labels are accepted. Every other name, such as
"Mitosis?", "unlikely mitosis" or "amitotic nucleus", stands for neither, and a reader reports it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from metaphase.figures import Label

_NOT_WORDS = re.compile(r"[\s_\-]+")
_SIGNED = re.compile(r"\W*[+\-(]|.*[+\-]\W*$")
"""Names such as "(mitosis)", "-mitosis" and "MF (-)": in doubt, or a test that was negative."""
_PLURALS = {"mitoses": "mitosis", "mitose": "mitosis", "mitosen": "mitosis"}
_PLURALS |= {
    f"{word}s": word
    for word in ("figure", "cell", "negative", "imposter", "impostor", "mimic", "mimicker",
                 "lookalike", "alike", "mf", "tumor", "tumour")
}  # fmt: skip

# What is said about a mitotic figure without putting it in doubt.
_KINDS = {
    *("canonical", "typical", "atypical", "normal", "abnormal", "true", "definite", "confirmed"),
    *("prometaphase", "metaphase", "anaphase", "telophase"),
}
_ATYPICAL, _TYPICAL = {"atypical", "abnormal"}, {"typical", "canonical", "normal"}
_MITOTIC = {
    *("mitosis", "mitotic", "mitotic figure", "mitosis figure", "mitotic cell", "mf"),
    *("mitotic figure mf", "mitosis mitotic figure"),
}
_NEGATIVE = {
    *("hard negative", "hard negative look alike", "hard negative lookalike", "imposter"),
    *("hard negative imposter", "hard negative impostor", "hard negative mimic"),
    *("impostor", "mitotic imposter", "mitotic impostor", "mitosis imposter", "mitosis impostor"),
    *("look alike", "lookalike", "mitotic figure look alike", "mitotic figure lookalike"),
    *("mitotic look alike", "mitotic lookalike", "mitosis look alike", "mitosis lookalike"),
    *("mitosis like", "mitotic like", "mitosis like figure", "mitotic like figure"),
    *("mitotic figure like", "mitosis like cell", "mitotic like cell", "pseudo mitosis"),
    *("pseudomitosis", "mimic", "mimicker", "mitosis mimic", "mitotic mimic"),
    *("mitosis mimicker", "mitotic mimicker", "mitotic figure mimic", "mitotic figure mimicker"),
    *("nonmitosis", "nonmitotic", "nonmitotic figure", "nonmitotic cell", "nonmitotic nucleus"),
    *(f"{no} {what}" for no in ("non", "not", "no") for what in _MITOTIC),
    *("non mitotic nucleus", "not a mitosis", "not a mitotic figure"),
}
# What leaves open whether a figure is one.
_DOUBT = {
    *("uncertain", "unsure", "unclear", "unknown", "undecided", "indeterminate", "undetermined"),
    *("doubtful", "doubt", "ambiguous", "equivocal", "borderline", "questionable", "suspicious"),
    *("possible", "possibly", "probable", "probably", "likely", "unlikely", "maybe", "perhaps"),
    *("candidate", "discordant", "disputed", "rejected", "false", "prophase", "telophase"),
    *("metaphase", "anaphase", "prometaphase", "imposter", "impostor", "mimic", "mimicker"),
    *("lookalike", "alike", "nmf", "amf", "mf"),
}
# Classes of a place in which QuPath puts another class, as in "Tumor: Mitosis".
_PLACES = {"tumor", "stroma", "tumour", "epithelium", "immune cell", "cell", "region", "nucleus"}


@lru_cache(maxsize=1024)  # the same few names come a million times
def label_of(class_name: str) -> Label | None:
    """Return the label that a class name stands for, or None where it stands for neither.

    Upper and lower case, plurals, hyphens and underscores do not matter. Names with a slash stand
    for a label if all of their parts do. Of a derived class of QuPath ("Tumor: Mitosis") the last
    part counts, if the parts before it name a place; "Atypical" or "Typical" as the last part is
    said of the part before it.
    """
    if "/" in class_name:
        labels = {label_of(part) for part in class_name.split("/")}
        return labels.pop() if len(labels) == 1 else None
    if _SIGNED.match(class_name):
        return None
    *places, name = (_plain(part) for part in class_name.split(":"))
    if places and (name in _ATYPICAL or name in _TYPICAL):  # "Mitotic figure: Atypical"
        name = f"{name} {places.pop()}"
    if not all(place in _PLACES for place in places):
        return None
    if name in _NEGATIVE:
        return Label.HARD_NEGATIVE
    words = name.split()
    rest = _without_kinds(words)
    if words and not rest:
        return Label.MITOTIC if any(word.endswith("phase") for word in words) else None
    return Label.MITOTIC if " ".join(rest) in _MITOTIC else None


@lru_cache(maxsize=1024)
def atypical_of(class_name: str) -> float | None:
    """Return 1.0 for the name of an atypical mitotic figure, 0.0 for that of a typical one.

    None where the name does not say, or stands for no mitotic figure. Of QuPath's derived classes,
    "Mitotic figure: Atypical" is read as "Atypical mitotic figure" is.
    """
    if label_of(class_name) != Label.MITOTIC:
        return None
    words = {word for part in class_name.split(":") for word in _plain(part).split()}
    if words & _ATYPICAL and not words & _TYPICAL:
        return 1.0
    return 0.0 if words & _TYPICAL and not words & _ATYPICAL else None


def mentions_mitosis(class_name: str) -> bool:
    """Return whether a class name has to do with mitosis, or leaves open that it has.

    Objects of such a class can neither be read nor be left out: the background would hold figures.
    """
    name = _plain(class_name.replace("/", " ").replace(":", " "))
    return "mito" in name or "?" in name or bool(_DOUBT & set(name.split()))


def _plain(name: str) -> str:
    words = re.sub(r"[(),]", " ", name.casefold())
    return " ".join(_PLURALS.get(word, word) for word in _NOT_WORDS.split(words) if word)


def _without_kinds(words: list[str]) -> list[str]:
    """Return the words without those of ``_KINDS`` at either end."""
    first, last = 0, len(words)
    while first < last and words[first] in _KINDS:
        first += 1
    while last > first and words[last - 1] in _KINDS:
        last -= 1
    return words[first:last]
