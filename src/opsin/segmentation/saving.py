"""Writing the model folder of a segmentation network, proved on drawn pictures. TensorFlow writes the twin."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opsin import __version__
from opsin.architectures.summary import summarize
from opsin.architectures.weight_files import NONE
from opsin.atomic import replacing
from opsin.catalog import require
from opsin.errors import ModelError
from opsin.exporters.litert import convert_outputs
from opsin.exporters.write_model import GOLDEN_PICTURES, TOLERANCE
from opsin.images.drawing import draw_picture, save_image
from opsin.model_folder import ModelCard, hash_files
from opsin.names import GOLDEN, GOLDEN_LOGITS, KERAS, LAYERS, MODEL, TWIN
from opsin.runtimes.litert import LiteRTNetwork
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.plan import SegmentPlan
from opsin.segmentation.segmenter import Segmenter, on_grid
from opsin.training.run_folder import RunFolder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class SegmentSaver:
    """Keeps the best network of a run in its model folder.

    Args:
        plan: settings and recipe.
        train: the data set that was learned from.
        run: the run folder.
    """

    plan: SegmentPlan
    train: SegmentationDataset
    run: RunFolder

    def save(self, network: "keras.Model") -> Segmenter:
        """Write the model folder, in the place of an older one, and open it.

        Args:
            network: float32 (N, h, w, c), 0 to 255 → logits (N, h, w, k).
        """
        config = self.plan.config
        provenance = {
            "opsin": __version__,
            "architecture": config.architecture,
            # Not where it lay: model folders are passed on.
            "weights": Path(self.plan.weights or NONE).name,
            "network": network.name,
            "data": {"fingerprint": self.train.fingerprint, "pictures": len(self.train)},
            "seed": config.seed,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        said = {"classes": self.train.classes.to_dict(), "recipe": self.plan.recipe.to_dict()}
        card = ModelCard(self.train.class_names, self.plan.recipe.preprocess, provenance=provenance, segmentation=said)
        for remark in write_segmentation_model(self.run / MODEL, network, card):
            self.run.say(remark)
        segmenter = Segmenter.open(self.run.path, "litert" if (self.run / MODEL / TWIN).is_file() else "keras")
        self.run.emit("model_saved", folder=str(self.run / MODEL))
        return segmenter


def write_segmentation_model(folder: str | Path, network: "keras.Model", card: ModelCard) -> list[str]:
    """Write `folder` with the network, its LiteRT twin and its golden pictures; it is complete or not there at all.

    Args:
        folder: the model folder; an older one there is replaced.
        network: float32 (N, h, w, c), 0 to 255 → logits (N, h, w, k).
        card: what `opsin.json` shall say; `files` is filled in here.

    Returns:
        What the user should know, a sentence each; empty if all went as it should.
    """
    keras = require("keras", "saving a model")
    # A network that was compiled carries optimizer and loss; a bare one opens in plain Keras.
    bare = keras.Model(network.inputs[0], network.outputs[0], name=network.name)
    with replacing(folder) as temporary:
        (temporary / GOLDEN).mkdir(parents=True)
        bare.save(temporary / KERAS)
        (temporary / LAYERS).write_text(json.dumps(summarize(bare).to_dict(), indent=1))
        names = [f"{number}.png" for number in range(GOLDEN_PICTURES)]
        for number, name in enumerate(names):
            save_image(draw_picture(number, 96 + 16 * number, 192 - 8 * number), temporary / GOLDEN / name)
        images = np.stack([card.preprocess.read(temporary / GOLDEN / name) for name in names]).astype(np.float32)
        with keras.device("cpu"):  # GPUs compute in TF32, which keeps 3 digits.
            logits = np.concatenate([bare.predict_on_batch(image[None]) for image in images])
        document = {"pictures": names, "logits": on_grid(logits).tolist()}
        (temporary / GOLDEN_LOGITS).write_text(json.dumps(document))
        remarks = _write_twin(temporary, bare, images, logits)
        replace(card, files=hash_files(temporary)).save(temporary)
    return remarks


def _write_twin(folder: Path, network: "keras.Model", images: np.ndarray, logits: np.ndarray) -> list[str]:
    backend = require("keras", "saving a model").backend.backend()
    if backend != "tensorflow":
        return [f"{TWIN} was left out: it is written on the TensorFlow backend, this is {backend}."]
    try:
        content = convert_outputs(network)
        twin = LiteRTNetwork(content)
        received = np.concatenate([twin.run(image[None])[0] for image in images])
    except (ModelError, ValueError, RuntimeError) as error:
        return [f"{TWIN} was left out. {error}"]
    difference = float(np.abs(received - logits).max() / max(float(np.abs(logits).max()), 1e-20))
    if not difference <= TOLERANCE:
        return [
            f"{TWIN} was left out: on {len(images)} drawn pictures its logits differ from the network's by "
            f"{difference:.2g} of their size, more than {TOLERANCE}."
        ]
    (folder / TWIN).parent.mkdir()
    (folder / TWIN).write_bytes(content)
    return []
