"""A classifier behind its queue: who reads a picture, and what is told of it."""

import asyncio
import threading

import numpy as np
import pytest

from opsin.classifier import Classifier
from opsin.serving import classifier_servable
from opsin.serving.batching import Limits
from opsin.serving.classifier_servable import ClassifierServable

from .test_pictures import jpeg


def see(servable, *files):
    async def story():
        return await servable.see(list(files))

    return asyncio.run(story())


@pytest.fixture
def classifier(tiny_run):
    return Classifier.open(tiny_run)


@pytest.fixture
def readers(monkeypatch):
    """Return the names of the threads that have read pictures so far."""
    names = []
    read = ClassifierServable._read

    def noted(servable, content):
        names.append(threading.current_thread().name)
        return read(servable, content)

    monkeypatch.setattr(ClassifierServable, "_read", noted)
    return names


@pytest.mark.parametrize(("batch", "lanes", "reader"), [(1, 2, "opsin-batches"), (1, 1, "read"), (4, 2, "read")])
def test_a_lane_that_runs_one_image_at_a_time_reads_it_too(monkeypatch, classifier, readers, batch, lanes, reader):
    monkeypatch.setattr(type(classifier), "lanes", property(lambda classifier: lanes))
    monkeypatch.setattr(classifier_servable, "best_batch", lambda *arguments, **options: batch)
    servable = ClassifierServable(classifier, Limits(batch=4))

    first, bad, last = see(servable, jpeg(1), b"no picture", jpeg(2))
    servable.close()

    assert all(reader in name for name in readers)
    assert len(readers) == 3
    for one, content in ((first, jpeg(1)), (last, jpeg(2))):
        np.testing.assert_allclose(one.judged.probabilities, classifier.predict(content).probabilities, atol=1e-6)
        assert one.decoded > 0
    assert (bad.judged, bad.answer) == (None, None)
    assert "none of the formats that are read" in bad.error


def test_where_a_lane_reads_too_a_larger_batch_has_to_be_worth_more(monkeypatch, classifier):
    margins = []
    monkeypatch.setattr(
        classifier_servable, "best_batch", lambda *arguments, margin, **options: margins.append(margin) or 1
    )
    for lanes in (1, 2):
        monkeypatch.setattr(type(classifier), "lanes", property(lambda classifier, lanes=lanes: lanes))
        ClassifierServable(classifier).close()

    assert margins[0] < margins[1]
