"""What is fitted at the end of a training, and that it counts wherever the model is opened."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import opsin
from opsin.classifier import Classifier, softmax
from opsin.data.digits import write_digits
from opsin.data.splits import TRAIN, VAL
from opsin.errors import ModelError
from opsin.evaluation.temperature import fit_temperature, log_loss
from opsin.exporters.verify import verify
from opsin.model_folder import ModelCard
from opsin.names import KNOWN, PREDICTIONS
from opsin.training.calibrating import HeldOut, choose_temperature, compare_known, write_calibration
from opsin.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    """A classifier of the digits 0 to 3, a folder of what else there is, and the held-out pictures."""
    root = tmp_path_factory.mktemp("digits")
    write_digits(root / "all")
    for name in "456789":
        shutil.move(root / "all" / name, root / "others" / name)
    parts = opsin.ImageDataset.from_folder(root / "all").split(val=0.2, test=0.2, seed=0)
    config = opsin.TrainConfig(architecture="digit_cnn", epochs=6, batch_size=32, augment="none", color="gray")
    run = opsin.train(parts.train, parts.val, config, test=parts.test, out=RunFolder.create(root / "run"))
    return run, opsin.ImageDataset.from_folder(root / "others"), parts.test


def shares_unknown(classifier, dataset):
    answers = list(classifier.predict_many(dataset.paths))
    return sum(answer.label == "unknown" for answer in answers) / len(answers)


def test_digits_that_it_was_never_shown_are_unknown_and_those_it_was_are_kept(digits_run):
    run, others, test = digits_run
    classifier = Classifier.open(run.folder, threshold="card")

    assert shares_unknown(classifier, test) < 0.1
    assert shares_unknown(classifier, others) > 0.5
    # Confidence alone, which is all that an export has, knows fewer of them.
    alone = classifier.card.thresholds["unknown"]["keep"]["0.95"]["confidence_alone"]
    assert shares_unknown(classifier.deciding(threshold=alone), others) < shares_unknown(classifier, others)


def test_the_temperature_is_that_of_validation_and_every_probability_has_it(digits_run):
    run, _, test = digits_run
    with np.load(run.folder / PREDICTIONS) as archive:
        val = archive["split"] == VAL
        logits, labels = archive["logits"], archive["labels"]
    card = ModelCard.read(run.folder / "model")

    assert card.temperature == pytest.approx(fit_temperature(logits[val], labels[val]))
    assert card.temperature != 1
    assert log_loss(logits[val], labels[val], card.temperature) <= log_loss(logits[val], labels[val])
    assert np.allclose(run.report.probabilities, softmax(logits[~val], card.temperature))
    first = run.classifier.predict(test.paths[0])
    assert np.allclose(first.probabilities, Classifier.open(run.folder).predict(test.paths[0]).probabilities)


def test_keras_and_the_twin_refuse_the_same_pictures(digits_run):
    run, others, _ = digits_run
    some = others.subset(np.arange(0, len(others), 12))

    twin, keras = (
        [answer.label for answer in Classifier.open(run.folder, name, threshold="card").predict_many(some.paths)]
        for name in ("litert", "keras")
    )

    assert twin == keras
    assert "unknown" in twin


def test_a_copy_says_the_same_and_one_whose_known_pictures_were_altered_is_refused(digits_run, tmp_path):
    run, others, _ = digits_run
    copy = Classifier.open(run.folder).save(tmp_path / "copy")
    some = others.paths[:20]
    before, after = (
        [answer.label for answer in Classifier.open(folder, threshold="card").predict_many(some)]
        for folder in (run.folder, copy)
    )

    assert before == after
    (copy / KNOWN).write_bytes(b"other pictures")
    with pytest.raises(ModelError, match="altered or damaged"):
        Classifier.open(copy, threshold="card")
    # What does not ask for it does not read it.
    assert Classifier.open(copy).predict(some[0]).label != "unknown"


def test_an_export_has_the_temperature_in_it_and_goes_by_confidence_alone(digits_run):
    run, others, _ = digits_run
    exported = opsin.export(Classifier.open(run.folder), format="litert")
    card = ModelCard.read(run.folder / "model")

    classifier = Classifier.open(exported.folder, threshold="card")

    assert (exported.card.temperature, exported.card.artefact.temperature) == (1.0, card.temperature)
    assert classifier.decision.references is None
    least = card.thresholds["unknown"]["keep"]["0.95"]["confidence_alone"]
    by_hand = Classifier.open(run.folder, threshold=least)
    assert [answer.label for answer in classifier.predict_many(others.paths[:60])] == [
        answer.label for answer in by_hand.predict_many(others.paths[:60])
    ]


@pytest.mark.parametrize("format", ["litert", "onnx", "openvino", "saved_model"])
def test_an_export_with_features_refuses_the_same_pictures_as_the_run(digits_run, tmp_path, format):
    run, others, test = digits_run
    some = [*others.paths[:80], *test.paths[:20]]

    exported = opsin.export(Classifier.open(run.folder), tmp_path / format, format=format, with_features=True)

    classifier = Classifier.open(exported.folder, threshold="card")
    assert exported.card.artefact.features == "features"
    assert [answer.label for answer in classifier.predict_many(some)] == [
        answer.label for answer in Classifier.open(run.folder, threshold="card").predict_many(some)
    ]
    assert verify(exported.folder).passed


@pytest.mark.slow
@pytest.mark.parametrize("format", ["litert", "onnx", "openvino"])
def test_an_export_in_8_bits_with_features_refuses_the_same_pictures_but_for_a_few(digits_run, tmp_path, format):
    run, others, test = digits_run
    some = [*others.paths[:80], *test.paths[:60]]
    options = {"format": format, "int8": True, "with_features": True}

    exported = opsin.export(Classifier.open(run.folder), tmp_path / format, **options)

    by_both = [Classifier.open(one, threshold="card").predict_many(some) for one in (run.folder, exported.folder)]
    before, after = ([answer.label == "unknown" for answer in answers] for answers in by_both)
    assert sum(before) > 60
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 0.05 * len(some)
    assert exported.card.artefact.parity["features"]["agreement_on_unknown"] >= 0.95


def test_what_all_pictures_say_must_not_worsen_the_loss_on_those_of_validation():
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (400, 3))
    labels = (honest + random.gumbel(size=honest.shape)).argmax(axis=1)
    others, val = HeldOut(honest / 4, labels), HeldOut(3 * honest[:60], labels[:60])

    assert choose_temperature(others.and_then(val), val) == fit_temperature(val.logits, val.labels)
    alike = HeldOut(2.5 * honest, labels)
    both = alike.and_then(val)
    assert choose_temperature(both, val) == fit_temperature(both.logits, both.labels)


def test_a_training_picture_is_compared_with_all_but_its_own_group():
    random = np.random.default_rng(0)
    features = random.normal(size=(14, 6)).astype(np.float32)
    features[1] = features[0]  # A copy, in the same group.
    groups = ("copies", "copies", *[""] * 10)
    stored = {TRAIN: SimpleNamespace(dataset=SimpleNamespace(labels=np.arange(12) % 2, groups=groups))}
    at_hand = {TRAIN: features[:12], VAL: features[12:]}
    learned = SimpleNamespace(stored=stored, features=at_hand, out_of_fold=np.zeros((12, 2)), known_rows=None)

    kept, distances = compare_known(learned)

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    own = [{0, 1}, {0, 1}, *[{row} for row in range(2, 12)], set(), set()]
    expected = [
        sorted(np.linalg.norm(unit[row] - unit[other]) for other in range(12) if other not in own[row])[4]
        for row in range(14)
    ]
    assert (kept.dtype, kept.shape) == (np.float16, (12, 6))
    assert np.allclose(distances, expected, atol=2e-3)


def test_of_a_network_that_was_trained_on_pictures_only_others_tell_the_distance():
    features = np.random.default_rng(0).normal(size=(14, 6)).astype(np.float32)
    stored = {TRAIN: SimpleNamespace(dataset=SimpleNamespace(labels=np.arange(12) % 2, groups=("",) * 12))}
    computed = {TRAIN: features[:12], VAL: features[12:]}
    learned = SimpleNamespace(stored=stored, features=computed, out_of_fold=None, known_rows=np.arange(12))

    assert len(compare_known(learned)[1]) == 2


def test_until_the_new_card_is_written_the_folder_is_what_it_was(tiny_run, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run / "model", folder)
    classifier = Classifier.open(folder)
    before = ModelCard.read(folder)

    def killed(self, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ModelCard, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            write_calibration(classifier, 2.0, {}, np.zeros((1, 4), np.float16))
    assert ModelCard.read(folder) == before

    again = write_calibration(classifier, 2.0, {"unknown": 0.5}, np.zeros((1, 4), np.float16))
    assert ModelCard.read(folder) == again.card
    assert (again.card.temperature, again.card.thresholds) == (2.0, {"unknown": 0.5})
    assert replace(again.card, temperature=1.0, thresholds={}, files={}) == replace(
        before, temperature=1.0, thresholds={}, files={}
    )
