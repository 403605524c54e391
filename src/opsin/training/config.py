"""`TrainConfig`: everything that decides how a network is trained, in one flat, frozen place."""

import re
from dataclasses import dataclass

from opsin.architectures import ARCHITECTURES
from opsin.augmentation.policies import POLICIES
from opsin.catalog import choose
from opsin.errors import UsageError
from opsin.images.color import COLORS
from opsin.images.preprocess import FITS, RESAMPLES
from opsin.training.settings import Settings, require_ranges, require_types

AUTO = "auto"
FIND = "find"
RATES = ("learning_rate", "fine_tune_rate")
"""Settings that may be `FIND`."""
OWN = "own"

OPTIMIZERS = {
    "adam": "keras.optimizers:Adam",
    "adamw": "keras.optimizers:AdamW",
    "sgd-nesterov": "keras.optimizers:SGD",
    "muon": "opsin.training.muon:Muon",
}

SCHEDULES = {
    "constant": "opsin.training.schedules:constant",
    "cosine": "opsin.training.schedules:cosine",
    "one-cycle": "opsin.training.schedules:one_cycle",
    "reduce-on-plateau": "opsin.training.schedules:constant",
}

RECIPES = {
    "standard": "opsin.training.recipes:standard",
    "fast": "opsin.training.recipes:fast",
}

ACTIVATIONS = ("relu", "gelu", "silu")
HEADS = ("linear", "dense")
UNFREEZE = (AUTO, "none", "all")
MONITORS = ("val_accuracy", "val_loss")
CLASS_WEIGHTS = ("none", "auto")
BFLOAT16_PRODUCTS = "bfloat16_products"
"""float32, but for the products of large plain convolutions with what they take and with what they are passed back;
their kernels' gradients are float32's. On a CPU under TensorFlow; elsewhere it is float32."""

PRECISIONS = (AUTO, "float32", "mixed_float16", "mixed_bfloat16", BFLOAT16_PRODUCTS)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How to train; every field has a default, `auto` is decided by the data and the machine.

    What is None or `auto` and not said otherwise is what the recipe says: `standard`, the numbers given here; or
    `fast`, which goes by the data.

    Args:
        recipe: `standard`, or `fast`: few epochs from scratch, for small pictures above all.
        architecture: a name of `opsin archs`, `FILE.py:function` for your own, or `auto`; `own` where
            the network is given as an object.
        weights: what the network starts from: `imagenet`, `none`, a file, or a folder of files that are named after
            architectures; `auto` is `imagenet` for the networks of keras.applications and `none` for others.
        head: what is put on pretrained features: `linear`, logistic regression that is solved; or `dense`, a hidden
            layer and dropout, trained on them.
        views: augmented views of each training picture whose features are cached; None lets the plan decide.
        unfreeze: what of a pretrained network is trained after its head: `none`, `all`, a number of layers from the
            top, in whole blocks; `auto` lets the plan decide.
        unfreeze_blocks: the same as a number of blocks; None for what `unfreeze` says.
        fine_tune_epochs: the most epochs of that training.
        fine_tune_rate: its highest learning rate; None for a tenth of what suits the optimizer from scratch; `find`
            for what a short trial says.
        layer_decay: the rate of each block further down, as a fraction of the one above it.
        budget: how long to look for the best classifier, `90s`, `10m` or `1h`; None for one plan.
        offline: never download weights.
        image_size: height and width of the network's input in pixels; None lets architecture and data decide.
        fit: how a picture is brought to that size: `stretch`, `crop` or `pad`.
        color: `rgb`, `gray`, `hsv`, `lab`, or `auto` for what the architecture was drawn for.
        resample: the filter that pictures are resized with.
        augment: the augmentation policy; `auto` is `light` on pretrained weights and `standard` from scratch.
        start_size: height and width of the pictures in the first epochs, from which they grow to `image_size`; 0
            for one size throughout. For networks that end in a global pooling.
        whiten: make the first convolution decorrelate patches of the training pictures, and leave it at that.
        identity_init: start convolutions so that they pass their input on, as far as they have filters for it.
        activation: `relu`, `gelu` or `silu` in the place of the network's ReLUs; `auto` for the network's own.
        norm_momentum: of the moving averages in batch normalisation; None for the network's own.
        logit_scale: what the last layer's logits are multiplied by while training (1).
        epochs: the most epochs (30).
        batch_size: pictures a step (64).
        optimizer: `adam`, `adamw`, `sgd-nesterov` or `muon` (`adamw`).
        learning_rate: its highest value; None for what suits the optimizer; `find` for what a short trial says.
        momentum: of `sgd-nesterov`, and of `muon` for what is no convolution's kernel (0.9).
        bias_rate: what the learning rate is multiplied by for biases (1).
        weight_decay: decoupled weight decay (not with `adam`; 0.0001).
        schedule: `constant`, `cosine`, `one-cycle` or `reduce-on-plateau` (`cosine`).
        warmup_epochs: epochs over which the rate rises linearly from 0 (not with `one-cycle`); may be a fraction.
        label_smoothing: share of each target that is spread over all classes, from 0 to below 1 (0).
        class_weights: `auto` weighs classes against their frequency if the data is imbalanced; `none` never.
        ema: decay of the moving average of the weights that is judged and kept, 0.99 say; 0 keeps the weights
            themselves.
        monitor: what tells the best epoch, `val_accuracy` (ties go to the lower loss) or `val_loss`.
        patience: stop after so many epochs without improvement; 0 never stops early (10).
        plateau_patience: with `reduce-on-plateau`, halve the rate after so many epochs without improvement.
        val: fraction of the pictures for validation.
        test: fraction of the pictures held out for the report.
        skip: a CSV that lists pictures to leave out, as `opsin check --write-list` writes it; None for none.
        group_by: a regular expression for the pictures' paths that tells groups, each of which stays in one part; None
            for the groups that the data itself names.
        seed: the same seed on the same CPU gives the same network, bit for bit.
        precision: arithmetic of training: a Keras dtype policy, or `bfloat16_products`: float32, but for the products
            that convolutions give and pass back, on a CPU under TensorFlow. `auto` is mixed_float16 on a GPU; on a CPU
            with units for bfloat16 (Intel AMX), for networks of the catalogue from scratch, bfloat16_products where
            Muon trains them, mixed_bfloat16 where they have no depthwise convolutions; float32 elsewhere.
        profile: tell at the end where the time went.
        tensorboard: also write TensorBoard logs into the run folder.
        cache: keep decoded pictures for the next run.
        cache_limit_gb: the room, in GiB, that all kept pictures together may take.

    Raises:
        UsageError: a value is not what its field takes.
    """

    recipe: str = "standard"
    architecture: str = AUTO
    weights: str = AUTO
    head: str = "linear"
    views: int | None = None
    unfreeze: str = AUTO
    unfreeze_blocks: int | None = None
    fine_tune_epochs: int = 10
    fine_tune_rate: float | str | None = None
    layer_decay: float = 1.0
    budget: str | None = None
    offline: bool = False
    image_size: int | None = None
    fit: str = "stretch"
    color: str = AUTO
    resample: str = "bilinear"
    augment: str = AUTO
    start_size: int | None = None
    whiten: bool | None = None
    identity_init: bool | None = None
    activation: str = AUTO
    norm_momentum: float | None = None
    logit_scale: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = AUTO
    learning_rate: float | str | None = None
    momentum: float | None = None
    bias_rate: float | None = None
    weight_decay: float | None = None
    schedule: str = AUTO
    warmup_epochs: float = 1.0
    label_smoothing: float | None = None
    class_weights: str = AUTO
    ema: float = 0.0
    monitor: str = "val_accuracy"
    patience: int | None = None
    plateau_patience: int = 5
    val: float = 0.15
    test: float = 0.15
    skip: str | None = None
    group_by: str | None = None
    seed: int = 0
    precision: str = AUTO
    profile: bool = False
    tensorboard: bool = False
    cache: bool = True
    cache_limit_gb: float = 20.0

    def __post_init__(self):
        require_types(self)
        if ".py:" not in self.architecture:
            choose("architecture", self.architecture, [AUTO, OWN, *ARCHITECTURES])
        choose("head", self.head, HEADS)
        _require_unfreezing(self.unfreeze, self.unfreeze_blocks)
        if self.budget is not None:
            seconds_of(self.budget)
        choose("fit", self.fit, FITS)
        choose("color", self.color, [AUTO, *COLORS])
        choose("resample", self.resample, RESAMPLES)
        choose("augment", self.augment, [AUTO, *POLICIES])
        choose("recipe", self.recipe, RECIPES)
        choose("activation", self.activation, [AUTO, *ACTIVATIONS])
        choose("optimizer", self.optimizer, [AUTO, *OPTIMIZERS])
        choose("schedule", self.schedule, [AUTO, *SCHEDULES])
        choose("class_weights", self.class_weights, CLASS_WEIGHTS)
        choose("monitor", self.monitor, MONITORS)
        choose("precision", self.precision, PRECISIONS)
        for name in RATES:
            if isinstance(getattr(self, name), str):
                choose(name, getattr(self, name), [FIND])
        require_ranges(self, RANGES)


RANGES = {
    "views": (0, 64, "from 0 to 64"),
    "unfreeze_blocks": (0, 1000, "from 0 to 1000"),
    "fine_tune_epochs": (1, 100_000, "of at least 1"),
    "fine_tune_rate": (1e-12, 100.0, "above 0 and at most 100"),
    "layer_decay": (0.01, 1.0, "from 0.01 to 1"),
    "ema": (0.0, 0.9999, "from 0 to 0.9999"),
    "image_size": (1, 8192, "from 1 to 8192 pixels"),
    "start_size": (0, 8192, "from 0 to 8192 pixels"),
    "norm_momentum": (0.0, 0.9999, "from 0 to 0.9999"),
    "logit_scale": (1e-3, 1e3, "from 0.001 to 1000"),
    "momentum": (0.0, 0.9999, "from 0 to 0.9999"),
    "bias_rate": (0.0, 1e3, "from 0 to 1000"),
    "epochs": (1, 100_000, "of at least 1"),
    "batch_size": (1, 65_536, "from 1 to 65536"),
    "learning_rate": (1e-12, 100.0, "above 0 and at most 100"),
    "weight_decay": (0.0, 1.0, "from 0 to 1"),
    "warmup_epochs": (0.0, 100_000.0, "of at least 0"),
    "label_smoothing": (0.0, 0.99, "from 0 to 0.99"),
    "patience": (0, 100_000, "of at least 0"),
    "plateau_patience": (1, 100_000, "of at least 1"),
    "val": (0.01, 0.9, "from 0.01 to 0.9"),
    "test": (0.0, 0.9, "from 0 to 0.9"),
    "seed": (0, 2**31 - 1, "from 0 to 2147483647"),
    "cache_limit_gb": (0.0, 1e6, "of at least 0"),
}


def policy_of(precision: str) -> str:
    """Return the Keras dtype policy of an arithmetic of `PRECISIONS`.

    >>> policy_of("mixed_float16"), policy_of("bfloat16_products")
    ('mixed_float16', 'float32')
    """
    return "float32" if precision == BFLOAT16_PRODUCTS else precision


def seconds_of(budget: str) -> float:
    """Return how many seconds a budget such as `90s`, `10m` or `1h` is.

    Raises:
        UsageError: it is none.

    >>> seconds_of("1.5m")
    90.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", budget.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"Expected a budget as a number and s, m or h: 90s, 10m, 1h. Received {budget!r}.")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def _require_unfreezing(unfreeze: str, blocks: int | None) -> None:
    if unfreeze not in UNFREEZE and not (unfreeze.isdecimal() and int(unfreeze)):
        raise UsageError(
            f"Expected unfreeze to be one of {', '.join(UNFREEZE)}, or a number of layers. Received {unfreeze!r}."
        )
    if blocks is not None and unfreeze != AUTO:
        raise UsageError(
            f"Expected layers or blocks to unfreeze; received both, unfreeze {unfreeze!r} and unfreeze_blocks "
            f"{blocks}. Leave one of them out."
        )
