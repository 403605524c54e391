"""Writing a run's network down as the classifier that it is so far."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from opsin import __version__
from opsin.architectures.weight_files import NONE
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.exporters.write_model import write_model
from opsin.model_folder import ModelCard
from opsin.names import MODEL
from opsin.training.plan import Plan
from opsin.training.run_folder import RunFolder


@dataclass(frozen=True)
class Saver:
    """Keeps the best network of a run in its model folder.

    Args:
        plan: settings and recipe.
        train: the data set that was learned from.
        run: the run folder.
    """

    plan: Plan
    train: ImageDataset
    run: RunFolder

    def save(self, network: keras.Model, *, twin: bytes | None = None, **provenance: Any) -> Classifier:
        """Write the model folder, in the place of an older one, and open it.

        Args:
            network: float32, from pictures to logits.
            twin: the same network in LiteRT, if it is at hand.
            provenance: what else the card shall say of where the network comes from.
        """
        said = {
            "opsin": __version__,
            # Files by their names, not by where they lay: model folders are passed on.
            "architecture": Path(self.plan.config.architecture).name,
            "weights": Path(self.plan.weights or NONE).name,
            "network": network.name,
            "data": {"fingerprint": self.train.fingerprint, "pictures": len(self.train)},
            "seed": self.plan.config.seed,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance,
        }
        card = ModelCard(self.train.class_names, self.plan.preprocess, provenance=said)
        for remark in write_model(self.run / MODEL, network, card, twin=twin):
            self.run.say(remark)
        classifier = Classifier.open_own(self.run.path)
        self.run.emit("model_saved", folder=str(self.run / MODEL))
        return classifier
