"""Shortcuts: what a network could learn instead of what the pictures show."""

from collections.abc import Callable, Sequence

import numpy as np

from opsin.catalog import require_installed
from opsin.checks.facts import Facts
from opsin.checks.finding import WARNING, Finding, Group, SkippedError
from opsin.checks.folds import classes_to_learn, fold_of, out_of_fold
from opsin.checks.survey import Survey
from opsin.errors import MissingPackageError

ABOVE_CHANCE = 0.3
"""Of the way from chance to certainty: balanced accuracy that a trait alone has to reach to be named."""

MOST_PICTURES = 10_000

DEPTH = 4
"""Of the decision trees: a few questions, such as a person would ask."""

EXAMPLES = 4

Trait = Callable[[Facts], Sequence[float] | str]

TRAITS: dict[str, Trait] = {
    "file format": lambda facts: facts.format,
    "way of storing pixels": lambda facts: f"{facts.mode}{' with transparency' if facts.transparent else ''}",
    "size in pixels": lambda facts: (facts.width, facts.height, facts.width / facts.height),
    "bytes a pixel": lambda facts: (facts.bytes / (facts.width * facts.height),),
    "camera": lambda facts: facts.camera,
    "colour of the border": lambda facts: facts.border,
}
"""What is known of a picture without looking at what it shows."""


def shortcut(survey: Survey) -> Finding | None:
    """Find traits of the files from which the class can be told, cross-validated."""
    try:
        require_installed(["sklearn"], "looking for shortcuts")
    except MissingPackageError as error:
        raise SkippedError(str(error)) from error
    # More tell nothing more.
    rows = np.sort(np.random.default_rng(0).permutation(survey.readable)[:MOST_PICTURES])
    labels = np.asarray(survey.dataset.labels)[rows]
    enough = classes_to_learn(labels, survey.kept_together[rows])
    rows = rows[np.isin(labels, enough)]
    all_labels = np.asarray(survey.dataset.labels)[rows]
    labels = np.searchsorted(enough, all_labels)
    folds = fold_of(labels, survey.kept_together[rows])
    chance = 1 / len(enough)
    found = {}
    for name, trait in TRAITS.items():
        values = _values([trait(survey.facts[row]) for row in rows])
        if len(np.unique(values, axis=0)) > 1:
            score, error = survey.remembered(f"tree {DEPTH}", _score, values, labels, folds).tolist()
            # Three standard errors: with few pictures, chance alone goes some way.
            if score - 3 * error > chance and (score - chance) / (1 - chance) >= ABOVE_CHANCE:
                found[name] = score
    if not found:
        return None
    said = ", ".join(f"{name} ({score:.0%})" for name, score in sorted(found.items(), key=lambda item: -item[1]))
    return Finding(
        "shortcut",
        WARNING,
        f"The class can be told from the files alone, without what the pictures show; balanced accuracy, where chance "
        f"has {chance:.0%}: {said}.",
        "Make the classes alike in this (convert or crop all of them in the same way, mix their sources), or the model "
        "may learn it instead. Border colours may also belong to the matter itself: look.",
        _examples(survey, rows, all_labels),
    )


def _values(traits: list[Sequence[float] | str]) -> np.ndarray:
    """Return float (n, d); of words, one column for each of the most frequent ones."""
    if not isinstance(traits[0], str):
        return np.array(traits, dtype=float)
    _, which, numbers = np.unique(np.array(traits, dtype=object).astype(str), return_inverse=True, return_counts=True)
    frequent = np.argsort(-numbers, kind="stable")[:32]
    return (which[:, None] == frequent[None]).astype(float)


def _score(values: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return float64 (2,), balanced accuracy of a small decision tree and its standard error; copies stay together."""
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=DEPTH, class_weight="balanced", min_samples_leaf=3, random_state=0)
    right = out_of_fold(tree, values, labels, folds).argmax(axis=1) == labels
    numbers = np.bincount(labels)
    recalls = np.bincount(labels, weights=right) / numbers
    return np.array([recalls.mean(), np.sqrt((recalls * (1 - recalls) / numbers).sum()) / len(recalls)])


def _examples(survey: Survey, rows: np.ndarray, labels: np.ndarray) -> tuple[Group, ...]:
    names, class_names = survey.dataset.names, survey.dataset.class_names
    groups = []
    for label in np.unique(labels)[:12]:
        some = rows[labels == label][:EXAMPLES]
        groups.append(Group(tuple(names[row] for row in some), class_names[label]))
    return tuple(groups)
