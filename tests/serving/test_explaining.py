"""`:explain_image`, whose work a process of its own does."""

import asyncio
import base64
import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.explanation.overlay import draw_sheet
from opsin.serving.app import Server
from opsin.serving.explaining import Explainer, Job

from .conftest import running, settings
from .test_pictures import jpeg

ADDRESS = "/v1/models/shapes:explain_image"


@pytest.mark.slow
def test_a_picture_is_explained_as_explain_does_it(flowers, tiny_run):
    reply = flowers.post(f"{ADDRESS}?class=discs", jpeg(1), Content_Type="image/jpeg")
    wrong = flowers.post(f"{ADDRESS}?method=guess", jpeg(1), Content_Type="image/jpeg")

    wanted = opsin.explain(tiny_run, jpeg(1), class_name="discs")
    drawn = np.array(Image.open(io.BytesIO(base64.b64decode(reply.json["image"]["b64"]))))
    assert reply.status == 200
    assert (reply.json["label"], reply.json["method"]) == ("discs", "grad_cam")
    assert reply.json["probability"] == pytest.approx(wanted.probability, abs=1e-5)
    assert np.abs(drawn.astype(int) - draw_sheet([wanted])).mean() < 1
    assert (wrong.status, "Expected one of these" in wrong.error) == (400, True)


@pytest.mark.parametrize(
    ("content", "text"), [(b"no picture", "none of the formats"), (b"P6 100000 100000 255 ", "at most 50,000,000")]
)
def test_a_picture_that_cannot_be_read_is_refused_before_a_process_starts(flowers, content, text):
    reply = flowers.post(ADDRESS, content, Content_Type="image/jpeg")

    assert (reply.status, text in reply.error) == (400, True)


def test_one_picture_is_explained_at_a_time(flowers):
    form = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n' * 2 + b"--b--\r\n"
    reply = flowers.post(ADDRESS, form, Content_Type="multipart/form-data; boundary=b")

    assert (reply.status, reply.error) == (400, "Expected one picture to explain; received 2.")


def test_a_process_that_falls_is_an_error_and_the_next_picture_starts_another(tiny_run):
    server = Server.of_paths({"shapes": tiny_run}, settings())
    server.routes.explainer = Explainer(repr, lambda: True)  # A process that ends at once.
    with running(server) as found:
        replies = [found.post(ADDRESS, jpeg(1), Content_Type="image/jpeg") for _ in range(2)]

    assert [(reply.status, reply.error) for reply in replies] == [
        (500, "The process that explains has ended. Try again.")
    ] * 2


class Dawdling(Explainer):
    """Answers late, as a process does; and never two at a time."""

    working = False

    def _send(self, job):
        assert not self.working
        self.working = True
        time.sleep(0.3)
        self.working = False
        return {"label": job.class_name}


def test_an_answer_that_nobody_waits_for_any_more_is_not_the_next_ones():
    async def story():
        explainer = Dawdling(is_installed=lambda: True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(explainer.explain(Job(Path(), b"", "m", "first")), 0.01)
        return await explainer.explain(Job(Path(), b"", "m", "second"))

    assert asyncio.run(story()) == {"label": "second"}


def test_without_tensorflow_it_says_what_is_missing(tiny_run):
    server = Server.of_paths({"shapes": tiny_run}, settings())
    server.routes.explainer = Explainer(is_installed=lambda: False)
    with running(server) as found:
        reply = found.post(ADDRESS, jpeg(1), Content_Type="image/jpeg")

    assert (reply.status, "pip install 'opsin[train]'" in reply.error) == (501, True)


def test_explanations_can_be_switched_off(tiny_run):
    with running(Server.of_paths({"shapes": tiny_run}, settings(explain=False))) as found:
        assert found.post(ADDRESS, jpeg(1), Content_Type="image/jpeg").status == 501
