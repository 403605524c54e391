"""Opsin: from a folder of pictures to an image classifier that can be trusted and shipped.

The public names are loaded when they are first used: importing `opsin` loads neither NumPy nor TensorFlow.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Classifier": "opsin.classifier",
    "Client": "opsin.serving.client",
    "Explanation": "opsin.explanation.explain",
    "FeatureIndex": "opsin.features.index",
    "ImageDataset": "opsin.data.dataset",
    "OpsinError": "opsin.errors",
    "Prediction": "opsin.classifier",
    "Preprocess": "opsin.images.preprocess",
    "Report": "opsin.evaluation.report",
    "RunFolder": "opsin.training.run_folder",
    "SegmentConfig": "opsin.segmentation.config",
    "SegmentationDataset": "opsin.segmentation.dataset",
    "Segmenter": "opsin.segmentation.segmenter",
    "TrainConfig": "opsin.training.config",
    "TrainingRun": "opsin.training.train",
    "benchmark": "opsin.evaluation.benchmark",
    "build_network": "opsin.architectures",
    "check_dataset": "opsin.checks.run",
    "compare": "opsin.evaluation.compare",
    "embed": "opsin.features.embedding",
    "evaluate": "opsin.evaluation.evaluate",
    "explain": "opsin.explanation.explain",
    "export": "opsin.exporters.export",
    "train": "opsin.training.train",
    "train_segmentation": "opsin.segmentation.train",
    "verify": "opsin.exporters.verify",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'opsin' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
