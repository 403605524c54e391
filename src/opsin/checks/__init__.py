"""Looking at a data set before anything is learned from it. Needs no TensorFlow, and changes nothing.

A check takes a `Survey` and gives an `Outcome`. Its place here is the order in which findings are shown.
"""

CHECKS = {
    "unreadable": "opsin.checks.files:unreadable",
    "conflicting-label": "opsin.checks.copies:conflicting_label",
    "leakage": "opsin.checks.copies:leakage",
    "class-mismatch": "opsin.checks.classes:class_mismatch",
    "empty-class": "opsin.checks.classes:empty_class",
    "rare-class": "opsin.checks.classes:rare_class",
    "imbalance": "opsin.checks.classes:imbalance",
    "shortcut": "opsin.checks.shortcut:shortcut",
    "label-suspect": "opsin.checks.labels:label_suspect",
    "duplicate": "opsin.checks.copies:duplicate",
    "near-duplicate": "opsin.checks.copies:near_duplicate",
    "blank": "opsin.checks.quality:blank",
    "tiny": "opsin.checks.sizes:tiny",
    "odd-aspect": "opsin.checks.sizes:odd_aspect",
    "huge": "opsin.checks.sizes:huge",
    "dark": "opsin.checks.quality:dark",
    "bright": "opsin.checks.quality:bright",
    "low-contrast": "opsin.checks.quality:low_contrast",
    "blurred": "opsin.checks.quality:blurred",
    "wrong-suffix": "opsin.checks.files:wrong_suffix",
    "odd-mode": "opsin.checks.files:odd_mode",
    "animated": "opsin.checks.files:animated",
    "rotated": "opsin.checks.files:rotated",
    "ignored-file": "opsin.checks.files:ignored_file",
}
"""Code of a finding → what looks for it."""

QUICK = ("unreadable", "conflicting-label", "leakage", "class-mismatch", "empty-class", "rare-class", "imbalance")
QUICK += ("duplicate", "near-duplicate")
"""What `opsin train` looks for before it begins."""
