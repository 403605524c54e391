"""Versions that come, go and are brought back, while requests are answered."""

import asyncio
import gc
import json
import shutil
import threading
import time
import weakref
from dataclasses import replace

import pytest

from opsin.classifier import Classifier
from opsin.errors import ModelError
from opsin.exporters.verify import replay
from opsin.model_folder import ModelCard
from opsin.serving import classifier_servable, loading
from opsin.serving.app import Server
from opsin.serving.loading import REST, Source, opener
from opsin.serving.models import Model, Models, Version, using
from opsin.serving.status import StatusError

from .conftest import half_plus, model, running, settings
from .test_pictures import jpeg

ADDRESS = "/v1/models/shapes:classify_image"


def copy_version(run, versions, number, temperature=1.0):
    """Write a version that says the same, surer or less sure, by its temperature; whole from the first moment."""
    hidden = versions / f".{number}"
    shutil.copytree(run / "model", hidden)
    replace(ModelCard.read(hidden), temperature=temperature).save(hidden)
    return hidden.rename(versions / str(number))


@pytest.fixture
def versions(tiny_run, tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    copy_version(tiny_run, folder, 1)
    return folder


@pytest.fixture
def watched(versions):
    with running(Server.of_paths({"shapes": versions}, settings(poll=0.05))) as found:
        yield found


def states(found):
    reply = found.get("/v1/models/shapes")
    return {int(one["version"]): one["state"] for one in reply.json["model_version_status"]}


def version_that_answers(found):
    return found.post(ADDRESS, jpeg(1), Content_Type="image/jpeg").json["version"]


def choose(found, version):
    return found.post("/admin/models/shapes/default", {"version": version})


def test_a_new_version_takes_over_and_no_request_fails_meanwhile(watched, versions, tiny_run):
    replies, stop = [], threading.Event()

    def ask_on():
        while not stop.is_set():
            replies.append(watched.post(ADDRESS, jpeg(1), Content_Type="image/jpeg"))

    asking = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in asking:
        thread.start()
    copy_version(tiny_run, versions, 2, temperature=3.0)
    watched.wait_until(lambda: states(watched).get(2) == "AVAILABLE")
    watched.wait_until(lambda: replies and replies[-1].json["version"] == 2)
    stop.set()
    for thread in asking:
        thread.join()

    answers = {number: Classifier.open(versions / str(number)).predict(jpeg(1)).probability for number in (1, 2)}
    assert {reply.status for reply in replies} == {200}
    assert {reply.json["version"] for reply in replies} == {1, 2}
    assert all(reply.json["predictions"][0]["probability"] == answers[reply.json["version"]] for reply in replies)
    assert answers[1] != answers[2]


def test_a_version_of_what_answers_is_loaded_gently_and_goes_by_what_was_measured(monkeypatch, versions, tiny_run):
    best, rests = iter((3, 5)), []
    monkeypatch.setattr(classifier_servable, "best_batch", lambda *arguments, **options: next(best))
    monkeypatch.setattr(loading, "replay", lambda classifier, rest: rests.append(rest) or replay(classifier))
    copy_version(tiny_run, versions, 2, temperature=3.0)
    card = ModelCard.read(copy_version(tiny_run, versions, 3))
    replace(card, provenance={**card.provenance, "architecture": "another"}).save(versions / "3")
    open_model = opener(settings())

    opened = [open_model(versions / str(number), number) for number in (1, 2, 3)]
    for servable in opened:
        servable.close()

    assert [servable.batcher.limits.batch for servable in opened] == [3, 3, 5]
    assert rests == [0, REST, 0]


def test_both_versions_can_be_named_and_the_one_before_can_be_brought_back(watched, versions, tiny_run):
    copy_version(tiny_run, versions, 2)
    watched.wait_until(lambda: version_that_answers(watched) == 2)

    old = watched.post("/v1/models/shapes/versions/1:classify_image", jpeg(1), Content_Type="image/jpeg")
    back = choose(watched, 1)

    assert old.json["version"] == 1
    assert back.json == {"model": "shapes", "version": 1, "chosen": True}
    assert version_that_answers(watched) == 1
    copy_version(tiny_run, versions, 3)
    watched.wait_until(lambda: states(watched).get(3) == "AVAILABLE")
    assert version_that_answers(watched) == 1
    assert choose(watched, None).json["version"] == 3
    assert version_that_answers(watched) == 3


@pytest.mark.parametrize(
    ("body", "status"), [({"version": 9}, 404), ({"version": "1"}, 400), ({}, 400), ({"version": True}, 400)]
)
def test_only_a_version_that_is_loaded_can_be_chosen(watched, body, status):
    assert watched.post("/admin/models/shapes/default", body).status == status
    assert watched.post("/admin/models/nope/default", {"version": 1}).status == 404


def test_nobody_chooses_on_a_server_that_anybody_reaches():
    changes = {"host": "0.0.0.0", "no_auth": True}
    with running(Server(Models({"half": model("half", {1: half_plus(2)})}), settings(**changes))) as found:
        assert found.post("/admin/models/half/default", {"version": 1}).status == 403


def test_only_the_newest_versions_stay_loaded(watched, versions, tiny_run):
    for number in (2, 3):
        copy_version(tiny_run, versions, number)
    watched.wait_until(lambda: states(watched) == {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})

    reply = watched.post("/v1/models/shapes/versions/1:classify_image", jpeg(1), Content_Type="image/jpeg")

    assert (reply.status, reply.error) == (404, "Servable not found for request: Specific(shapes, 1)")


def test_versions_with_a_label_stay_loaded_and_answer_to_it(versions, tiny_run):
    for number in (2, 3, 4):
        copy_version(tiny_run, versions, number)
    labelled = settings(label=("shapes:stable=1", "shapes:canary=4"))
    with running(Server.of_paths({"shapes": versions}, labelled)) as found:
        found.wait_until(lambda: states(found) == dict.fromkeys((1, 3, 4), "AVAILABLE"))
        said = [
            found.post(f"/v1/models/shapes/labels/{label}:classify_image", jpeg(1), Content_Type="image/jpeg")
            for label in ("stable", "canary")
        ]

    assert [reply.json["version"] for reply in said] == [1, 4]


def break_golden(folder):
    path = folder / "golden" / "logits.json"
    document = json.loads(path.read_text())
    document["logits"] = [[value + number for number, value in enumerate(row)] for row in document["logits"]]
    path.write_text(json.dumps(document))


def alter_network(folder):
    path = folder / "engines" / "model.tflite"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        break_golden,
        alter_network,
        lambda folder: (folder / "opsin.json").unlink(),
        lambda folder: (folder / "engines" / "model.tflite").unlink(),
        lambda folder: shutil.rmtree(folder / "golden"),
        lambda folder: [shutil.rmtree(folder), folder.mkdir()],
    ],
)
def test_a_bad_version_is_refused_and_the_old_one_stays(watched, versions, tiny_run, tmp_path, spoil):
    copy_version(tiny_run, versions, 1000)  # To be spoiled where nobody watches.
    shutil.move(versions / "1000", tmp_path / "2")
    spoil(tmp_path / "2")
    (tmp_path / "2").rename(versions / "2")
    watched.wait_until(lambda: states(watched).get(2) == "END")

    told = watched.get("/v1/models/shapes/versions/2").json["model_version_status"][0]["status"]

    assert told["error_code"] == "FAILED_PRECONDITION"
    assert str(versions) not in told["error_message"]
    assert version_that_answers(watched) == 1


def test_a_version_that_is_still_being_copied_is_taken_when_it_is_whole(watched, versions, tiny_run):
    target = versions / "2"
    files = sorted(path for path in (tiny_run / "model").rglob("*") if path.is_file())
    for path in files:
        copy = target / path.relative_to(tiny_run / "model")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        time.sleep(0.03)

    watched.wait_until(lambda: states(watched).get(2) == "AVAILABLE")

    assert version_that_answers(watched) == 2


def test_a_version_that_is_deleted_goes_and_the_one_before_answers_and_the_last_one_stays(watched, versions, tiny_run):
    copy_version(tiny_run, versions, 2)
    watched.wait_until(lambda: version_that_answers(watched) == 2)

    shutil.rmtree(versions / "2")
    watched.wait_until(lambda: version_that_answers(watched) == 1)
    shutil.rmtree(versions)
    time.sleep(0.3)

    assert version_that_answers(watched) == 1
    assert watched.get("/readyz").status == 200


def test_files_that_change_under_a_loaded_version_change_nothing(watched, versions):
    before = watched.post(ADDRESS, jpeg(1), Content_Type="image/jpeg").json["predictions"]

    alter_network(versions / "1")
    time.sleep(0.3)

    assert watched.post(ADDRESS, jpeg(1), Content_Type="image/jpeg").json["predictions"] == before
    assert states(watched) == {1: "AVAILABLE"}


# What a model is without a server


def test_a_version_in_use_stays_until_its_last_request_is_answered():
    closed = []
    found = model("half", {})
    found.put(Version(1, half_plus(2), close=lambda: closed.append(1)))
    old = found.versions[1]

    with using(old) as servable:
        found.put(Version(2, half_plus(3)))
        found.retire(1)
        assert (old.state, old.servable, closed) == ("UNLOADING", servable, [])
    assert (old.state, old.servable, closed) == ("END", None, [1])


def test_a_version_that_has_been_closed_leaves_nothing_of_its_model_behind():
    class Closed(type(half_plus(2))):
        def close(self):
            pass

    servable = Closed()
    found = model("half", {})
    found.put(Version(1, servable, close=servable.close))
    kept = weakref.ref(servable)
    del servable

    found.retire(1)
    gc.collect()

    assert found.versions[1].state == "END"
    assert kept() is None


def test_where_the_newest_versions_are_bad_older_ones_answer(tmp_path):
    for number in range(1, 6):
        (tmp_path / str(number)).mkdir()
    opened = []

    def open_model(folder, number):
        opened.append(number)
        if opened[-1] in (5, 4, 2):
            raise ModelError("Expected another model.")
        servable = half_plus(opened[-1])
        servable.close = lambda: None
        return servable

    source = Source(Model("half", starting=True), tmp_path, open_model, keep=1)
    asyncio.run(source.start())
    asyncio.run(source.look())

    assert [version.number for version in source.model.available()] == [3]
    assert opened == [5, 4, 3]


def test_a_model_whose_folder_was_not_looked_at_yet_is_being_loaded_and_not_unknown(tmp_path):
    (tmp_path / "1").mkdir()
    server = Server.of_paths({"half": tmp_path}, settings())

    with pytest.raises(StatusError, match=r"Latest\(half\) is being loaded") as refused:
        server.models.find("half")
    assert refused.value.http == 503

    (tmp_path / "1").rmdir()
    asyncio.run(server.sources[0].start())
    with pytest.raises(StatusError, match="Servable not found") as unknown:
        server.models.find("half")
    assert unknown.value.http == 404


def test_a_version_that_there_is_not_is_unknown_while_another_is_being_loaded():
    loading = model("half", {1: half_plus(2)})
    loading.versions[2] = Version(2)

    for number, code in ((2, "UNAVAILABLE"), (3, "NOT_FOUND")):
        with pytest.raises(StatusError) as refused:
            Models({"half": loading}).find("half", number)
        assert refused.value.code == code


def test_a_model_that_is_being_loaded_is_not_there_yet():
    loading = Model("half")
    loading.versions[1] = Version(1)

    with pytest.raises(StatusError, match=r"Latest\(half\) is being loaded") as refused:
        Models({"half": loading}).find("half")

    assert (refused.value.http, refused.value.headers) == (503, {"Retry-After": "1"})
