"""Numbers with their nouns, as they stand in messages and reports."""


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    >>> count(1, "picture"), count(2500, "picture"), count(0, "class", "classes")
    ('1 picture', '2,500 pictures', '0 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
