"""The Open Inference Protocol, version 2."""

import base64
import json

import pytest

from opsin.classifier import Classifier

from .test_pictures import jpeg


def infer(found, inputs, model="half", **more):
    return found.post(f"/v2/models/{model}/infer", json.dumps({"inputs": inputs, **more}))


def tensor(name="x", shape=(2,), datatype="FP32", data=(2, 3), **more):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data), **more}


def test_health_and_metadata(small):
    assert small.get("/v2").json["name"] == "opsin"
    assert small.get("/v2/health/live").json == {"live": True}
    assert small.get("/v2/health/ready").json == {"ready": True}
    assert small.get("/v2/models/two/versions/1/ready").json == {"name": "two", "ready": True}
    assert small.get("/v2/models/pairs").json == {
        "name": "pairs",
        "versions": ["1"],
        "platform": "opsin",
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": [-1]},
            {"name": "b", "datatype": "FP32", "shape": [-1, 2]},
        ],
        "outputs": [
            {"name": "sum", "datatype": "FP32", "shape": [-1]},
            {"name": "product", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }


def test_a_tensor_goes_in_and_one_comes_out(small):
    assert infer(small, [tensor()], id="7").json == {
        "model_name": "half",
        "model_version": "123",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [3.0, 3.5]}],
    }
    old = small.post("/v2/models/two/versions/1/infer", {"inputs": [tensor()]})
    assert (old.json["model_version"], old.json["outputs"][0]["data"]) == ("1", [3.0, 3.5])


def test_data_may_be_flat_or_nested(small):
    flat = infer(small, [tensor(shape=(2, 2), data=[1, 2, 3, 4])])
    nested = infer(small, [tensor(shape=(2, 2), data=[[1, 2], [3, 4]])])

    assert flat.json == nested.json
    assert flat.json["outputs"][0]["shape"] == [2, 2]


def test_only_the_outputs_that_are_asked_for_come(small):
    inputs = [tensor("a", (1,), data=[1]), tensor("b", (1, 2), data=[2, 3])]

    both = infer(small, inputs, "pairs").json["outputs"]
    one = infer(small, inputs, "pairs", outputs=[{"name": "sum"}]).json["outputs"]

    assert {each["name"]: each["data"] for each in both} == {"sum": [6.0], "product": [2.0, 3.0]}
    assert one == [{"name": "sum", "datatype": "FP32", "shape": [1], "data": [6.0]}]


def test_a_signature_is_found_by_its_inputs_or_named(flowers, tiny_run):
    content = jpeg(2)
    text = base64.b64encode(content).decode()
    inputs = [tensor("image_bytes", (1,), "BYTES", [text], parameters={"content_type": "base64"})]

    (output,) = infer(flowers, inputs, "shapes").json["outputs"]

    assert output["shape"] == [1, 3]
    wanted = Classifier.open(tiny_run).predict(content).probabilities.astype("f4").tolist()
    assert [float(f"{value:.6g}") for value in output["data"]] == [float(f"{value:.6g}") for value in wanted]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Expected 'inputs' as a list of tensors"),
        ({"inputs": []}, "Expected 'inputs' as a list of tensors"),
        ({"inputs": [5]}, "as an object with a name"),
        ({"inputs": [tensor(), tensor()]}, "'x' twice"),
        ({"inputs": [tensor("z")]}, "Expected the inputs of a signature"),
        ({"inputs": [tensor(datatype="INT32")]}, 'of datatype FP32; received "INT32"'),
        ({"inputs": [tensor(shape=(3,))]}, "Expected 3 values for input 'x'"),
        ({"inputs": [tensor(shape=(-2,))]}, "as whole numbers"),
        ({"inputs": [tensor(data=["a", 1])]}, "is not of expected type: float"),
        ({"inputs": [{**tensor(), "data": 5}]}, "Expected 'data' of input 'x' as a list"),
        ({"inputs": [tensor()], "outputs": [{"name": "z"}]}, "Expected outputs among y"),
        ({"inputs": [tensor()], "parameters": {"signature_name": "no"}}, "Expected one of these as signature_name"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(small, body, text):
    reply = small.post("/v2/models/half/infer", body)

    assert (reply.status, text in reply.error) == (400, True)


def test_addresses_and_methods_of_the_protocol(small):
    assert small.get("/v2/nowhere").status == 404
    assert small.get("/v2/models/nope").status == 404
    wrong = small.get("/v2/models/half/infer")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
