"""Pictures in, names out: the answers of `opsin predict`, whatever way a picture comes."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from opsin.classifier import FROM_CARD, Classifier
from opsin.images.drawing import draw_picture
from opsin.serving.app import Server

from .conftest import running, settings

ADDRESS = "/v1/models/shapes:classify_image"


def jpeg(number, width=40, height=30, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.fromarray(draw_picture(number, height, width)).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def form(*parts, boundary="b0undary", end=True):
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (f'; filename="{filename}"'.encode() if filename else b"")
        + b"\r\n\r\n"
        + content
        + b"\r\n"
        for name, filename, content in parts
    ]
    return b"".join(lines) + (f"--{boundary}--\r\n".encode() if end else b"")


def send_form(flowers, *parts, **options):
    return flowers.post(ADDRESS, form(*parts, **options), Content_Type="multipart/form-data; boundary=b0undary")


def counted(flowers, name):
    """Return the sum of a metric of the model."""
    lines = flowers.get("/metrics").content.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name + "{") and 'model="shapes"' in line)


@pytest.mark.parametrize("language", ["classify_image", "classify", "serve_bytes", "pixels", "v2"])
def test_what_the_model_says_is_counted_in_whatever_language_it_is_asked(flowers, language):
    names = ["opsin_predictions_total", "opsin_confidence_count"]
    before = [counted(flowers, name) for name in names]
    text = {"b64": base64.b64encode(jpeg(1)).decode()}
    shape = flowers.server.models.find("shapes")[1].servable.classifier.preprocess.shape
    files = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [text]}
    address, body = {
        "classify_image": (ADDRESS, {"images": [text, "no base64!"]}),
        "classify": (
            "/v1/models/shapes:classify",
            {"signature_name": "classify", "examples": [{"image/encoded": text}]},
        ),
        "serve_bytes": ("/v1/models/shapes:predict", {"signature_name": "serve_bytes", "instances": [text]}),
        "pixels": ("/v1/models/shapes:predict", {"instances": np.zeros((1, *shape)).tolist()}),
        "v2": ("/v2/models/shapes/infer", {"inputs": [files]}),
    }[language]
    unreadable = counted(flowers, "opsin_unreadable_total")

    assert flowers.post(address, body, Content_Type="application/json").status == 200

    assert [counted(flowers, name) for name in names] == [value + 1 for value in before]
    assert counted(flowers, "opsin_unreadable_total") - unreadable == (language == "classify_image")


def test_a_worker_notes_what_is_pending_for_scrapes_that_another_one_answers(tiny_run):
    with running(Server.of_paths({"shapes": tiny_run}, settings(workers=2, poll=0.02))) as found:
        batcher = found.server.models.find("shapes")[1].servable.batcher
        with batcher.admitted(3):
            found.wait_until(
                lambda: found.server.metrics.registry.get_sample_value("opsin_pending", {"model": "shapes"}) == 3
            )


@pytest.fixture(scope="module")
def classifier(tiny_run):
    return Classifier.open(tiny_run, threshold=FROM_CARD)


def expected(classifier, content, top=3):
    return [{"label": label, "probability": probability} for label, probability in classifier.predict(content).top(top)]


def test_a_picture_is_answered_bit_for_bit_as_predict_answers_it(flowers, classifier):
    content = jpeg(3)

    reply = flowers.post(ADDRESS, content, Content_Type="image/jpeg")

    (said,) = reply.json["predictions"]
    assert reply.status == 200
    assert said["top"] == expected(classifier, content)
    prediction = classifier.predict(content)
    assert (said["label"], said["probability"]) == (prediction.label, prediction.probability)
    assert said["unknown"] is prediction.refused
    assert (reply.json["model"], reply.json["version"]) == ("shapes", 1)
    assert set(reply.json["timing_ms"]) == {"decode", "queue", "inference", "total"}


def test_pictures_that_are_none_of_the_classes_are_unknown_by_the_models_thresholds(flowers, classifier):
    contents = [jpeg(number) for number in range(12)]

    reply = send_form(flowers, *[("file", "a.jpg", content) for content in contents])

    refused = [classifier.predict(content).refused for content in contents]
    assert [one["unknown"] for one in reply.json["predictions"]] == refused
    assert [one["label"] == "unknown" for one in reply.json["predictions"]] == refused
    assert True in refused


def test_forms_and_base64_say_the_same_as_raw_bytes(flowers, classifier):
    contents = [jpeg(number) for number in range(3)]
    texts = [base64.b64encode(content).decode() for content in contents]

    of_form = send_form(flowers, *[("file", f"{n}.jpg", content) for n, content in enumerate(contents)])
    of_json = flowers.post(ADDRESS, {"images": [texts[0], {"b64": texts[1]}, f"data:image/jpeg;base64,{texts[2]}"]})

    wanted = [expected(classifier, content) for content in contents]
    assert [one["top"] for one in of_form.json["predictions"]] == wanted
    assert [one["name"] for one in of_form.json["predictions"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [one["top"] for one in of_json.json["predictions"]] == wanted


def test_a_bad_picture_among_good_ones_fails_alone(flowers, classifier):
    reply = send_form(flowers, ("a", "a.jpg", jpeg(1)), ("b", "b.jpg", b"no picture"), ("c", "c.jpg", jpeg(2)))

    first, second, third = reply.json["predictions"]
    assert reply.status == 200
    assert first["top"] == expected(classifier, jpeg(1))
    assert set(second) == {"name", "error"}
    assert "none of the formats that are read" in second["error"]
    assert third["top"] == expected(classifier, jpeg(2))


def test_if_no_picture_can_be_read_the_request_is_wrong(flowers):
    reply = flowers.post(ADDRESS, jpeg(1)[:200], Content_Type="image/jpeg")

    assert reply.status == 400
    assert "JPEG content is damaged or cut off" in reply.json["error"]


@pytest.mark.parametrize("way", ["query", "form", "json"])
def test_the_client_says_how_many_classes_to_name(flowers, classifier, way):
    content = jpeg(4)
    if way == "query":
        reply = flowers.post(f"{ADDRESS}?top_k=1", content, Content_Type="image/jpeg")
    elif way == "form":
        reply = send_form(flowers, ("top_k", None, b"1"), ("file", "a.jpg", content))
    else:
        reply = flowers.post(ADDRESS, {"image": base64.b64encode(content).decode(), "top_k": 1})

    assert reply.json["predictions"][0]["top"] == expected(classifier, content, 1)


@pytest.mark.parametrize(
    ("content_type", "body", "status", "text"),
    [
        ("text/plain", b"x", 415, "received 'text/plain'"),
        ("multipart/form-data", b"x", 400, "Expected a boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\nnonsense", 400, "multipart form"),
        ("multipart/form-data; boundary=b0undary", form(("a", "a", b"x"), end=False), 400, "last boundary is missing"),
        ("multipart/form-data; boundary=b0undary", form(*[("a", "a", b"x")] * 73), 413, "at most 72 parts"),
        ("multipart/form-data; boundary=b0undary", form(*[("a", "a", b"x")] * 65), 413, "at most 64 pictures"),
        ("application/json", b"{}", 400, "the key 'images'"),
        ("application/json", b'{"images": []}', 400, "at least one picture"),
        ("application/json", b'{"images": [""], "top_k": 0}', 400, "top_k"),
        ("application/json", b'{"images": [""], "top_k": 1.5}', 400, "top_k"),
        ("application/json", b'{"images": ["http://example.com/a.jpg"]}', 400, "addresses are never fetched"),
        ("application/json", b'{"images": ["!"]}', 400, "it is no base64"),
        ("application/json", b'{"images": [5]}', 400, "it is no text in base64"),
        ("image/png", b"", 400, "the file is empty"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(flowers, content_type, body, status, text):
    reply = flowers.post(ADDRESS, body, Content_Type=content_type)

    assert (reply.status, text in reply.json["error"]) == (status, True)


def test_too_many_pixels_are_refused_by_the_header_alone(flowers):
    bomb = b"P6 100000 100000 255 "

    reply = flowers.post(ADDRESS, bomb, Content_Type="image/x-portable-pixmap")

    assert reply.status == 400
    assert "100000 x 100000 pixels; at most 50,000,000 are read" in reply.json["error"]


@pytest.mark.parametrize("kind", ["rotated", "cmyk", "sixteen", "animated", "palette"])
def test_odd_pictures_are_read_as_predict_reads_them(flowers, classifier, kind):
    buffer = io.BytesIO()
    image = Image.fromarray(draw_picture(5, 30, 40))
    if kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(buffer, "JPEG", exif=exif)
    elif kind == "cmyk":
        image.convert("CMYK").save(buffer, "JPEG")
    elif kind == "sixteen":
        Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50).save(buffer, "PNG")
    elif kind == "animated":
        image.save(buffer, "GIF", save_all=True, append_images=[image.rotate(90)])
    else:
        image.convert("P").save(buffer, "PNG")

    reply = flowers.post(ADDRESS, buffer.getvalue(), Content_Type="application/octet-stream")

    assert reply.json["predictions"][0]["top"] == expected(classifier, buffer.getvalue())


def test_there_is_no_such_model_version_or_label(flowers):
    for path, status in (("nope", 404), ("shapes/versions/9", 404), ("shapes/labels/nope", 400)):
        reply = flowers.post(f"/v1/models/{path}:classify_image", jpeg(1), Content_Type="image/jpeg")
        assert reply.status == status


def test_a_model_that_is_none_of_pictures_says_so(small):
    reply = small.post("/v1/models/half:classify_image", b"x", Content_Type="image/jpeg")
    assert (reply.status, reply.error) == (400, "Expected a model of pictures; 'half' is none.")


# The signatures of our exported SavedModel


def predict(flowers, body):
    return flowers.post("/v1/models/shapes:predict", json.dumps(body))


def test_metadata_has_the_signatures_of_the_exported_saved_model(flowers):
    found = flowers.get("/v1/models/shapes/metadata").json["metadata"]["signature_def"]["signature_def"]

    def ends(name, end):
        return {
            key: (value["dtype"], [int(one["size"]) for one in value["tensor_shape"]["dim"]])
            for key, value in found[name][end].items()
        }

    assert ends("serving_default", "inputs") == {"image": ("DT_FLOAT", [-1, 24, 24, 3])}
    assert ends("serve_bytes", "inputs") == {"image_bytes": ("DT_STRING", [-1])}
    assert ends("classify", "inputs") == {"inputs": ("DT_STRING", [-1])}
    assert ends("serving_default", "outputs") == ends("serve_bytes", "outputs")
    assert ends("serve_bytes", "outputs") == {"probabilities": ("DT_FLOAT", [-1, 3])}
    assert ends("classify", "outputs") == {"classes": ("DT_STRING", [-1, 3]), "scores": ("DT_FLOAT", [-1, 3])}
    assert found["classify"]["method_name"] == "tensorflow/serving/classify"


def test_preprocessed_images_give_the_probabilities_of_their_pixels(flowers, classifier):
    images = np.stack([classifier.preprocess.read(jpeg(number)) for number in range(2)])

    rows = predict(flowers, {"instances": images.tolist()}).json["predictions"]

    assert np.float32(rows).tolist() == classifier.probabilities(classifier.run(images).logits).astype("f4").tolist()


def test_whole_files_give_the_probabilities_of_the_pictures(flowers, classifier):
    files = [jpeg(number) for number in range(2)]
    rows = [{"b64": base64.b64encode(content).decode()} for content in files]
    wanted = [classifier.predict(content).probabilities.astype("f4").tolist() for content in files]

    by_rows = predict(flowers, {"signature_name": "serve_bytes", "instances": rows}).json["predictions"]
    by_columns = predict(flowers, {"signature_name": "serve_bytes", "inputs": {"image_bytes": rows}}).json["outputs"]

    assert np.float32(by_rows).tolist() == np.float32(by_columns).tolist() == wanted


def test_classify_names_all_classes_most_probable_first(flowers, classifier):
    content = jpeg(6)
    example = {"image/encoded": {"b64": base64.b64encode(content).decode()}}

    (said,) = flowers.post("/v1/models/shapes:classify", {"signature_name": "classify", "examples": [example]}).json[
        "results"
    ]

    wanted = classifier.predict(content).top(3)
    assert [label for label, _ in said] == [label for label, _ in wanted]
    assert np.float32([score for _, score in said]).tolist() == np.float32([score for _, score in wanted]).tolist()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"instances": [[[1.0]]]}, "Expected input 'image' of shape [-1,24,24,3]; received [1,1,1]."),
        ({"instances": [{"b64": "aGVsbG8="}]}, "Type: Object is not of expected type: float"),
        ({"signature_name": "serve_bytes", "instances": [{"b64": "aGVsbG8="}]}, "element 0 cannot be read"),
        ({"signature_name": "serve_bytes", "instances": [[{"b64": "aGVsbG8="}]]}, "shape [-1]; received [1,1]"),
    ],
)
def test_what_the_signatures_do_not_take_is_told(flowers, body, text):
    reply = predict(flowers, body)

    assert (reply.status, text in reply.error) == (400, True)


def test_images_that_are_no_numbers_are_refused(flowers):
    row = json.dumps(np.zeros((24, 24, 3)).tolist()).replace("0.0", "NaN", 1)

    reply = flowers.post("/v1/models/shapes:predict", f'{{"instances": [{row}]}}')

    assert (reply.status, "received NaN or Infinity" in reply.error) == (400, True)
