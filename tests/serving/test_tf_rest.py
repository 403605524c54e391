"""TensorFlow Serving's REST API, on models whose answers are known: half is x / 2 + 2."""

import gzip
import json
import math

import pytest

PREDICT = "/v1/models/half:predict"


def predict(small, body, path=PREDICT):
    return small.post(path, body if isinstance(body, str | bytes) else json.dumps(body))


# Status and metadata


def test_status_lists_versions_newest_first(small):
    reply = small.get("/v1/models/two")

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert [(one["version"], one["state"]) for one in reply.json["model_version_status"]] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]
    assert reply.json["model_version_status"][0]["status"] == {"error_code": "OK", "error_message": ""}


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/v1/models/half/versions/99", 404, "Could not find version 99 of model half"),
        ("/v1/models/nope", 404, "Could not find any versions of model nope"),
        ("/v1/models/nope/metadata", 404, "Servable not found for request: Latest(nope)"),
        ("/v1/models/half/versions/99/metadata", 404, "Servable not found for request: Specific(half, 99)"),
        ("/v1/models/half/labels/nope/metadata", 400, "Unrecognized servable version label"),
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/models/half/versions/99999999999999999999", 400, "Failed to convert version: 99999999999999999999"),
        ("/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("/v1/models/half/versions/one", 400, "Malformed request"),
        ("/v1/models/half/", 400, "Malformed request"),
        ("/v1/models/half?x=1", 404, "Could not find any versions of model half?x=1"),
    ],
)
def test_what_cannot_be_got_is_told_as_tensorflow_serving_tells_it(small, path, code, text):
    reply = small.get(path)

    assert (reply.status, text in reply.error) == (code, True)


def test_metadata_has_whole_numbers_as_text(small):
    found = small.get("/v1/models/pairs/metadata").json

    assert found["model_spec"] == {"name": "pairs", "signature_name": "", "version": "1"}
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["b"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["b"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
        "unknown_rank": False,
    }
    half = small.get("/v1/models/half/labels/best/metadata").json["metadata"]["signature_def"]["signature_def"]
    assert half["serving_default"]["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}
    assert half["regress"]["method_name"] == "tensorflow/serving/regress"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_malformed_requests(small, method):
    assert small.ask(method, PREDICT).status == 400


def test_the_options_of_a_page_are_answered_without_letting_it_in(small):
    reply = small.ask("OPTIONS", PREDICT, headers={"Origin": "https://app.example"})

    assert reply.status == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_addresses_may_be_in_capitals_and_verbs_may_not(small):
    assert small.get("/V1/Models/half").status == 200
    assert "Malformed request" in predict(small, {"instances": [1.0]}, "/v1/models/half:Predict").error


def test_a_query_is_no_part_of_the_language(small):
    assert "Malformed request" in predict(small, {"instances": [1.0]}, PREDICT + "?k=1").error


def test_a_name_may_be_escaped(small):
    assert predict(small, {"instances": [2.0]}, "/v1/models/h%61lf:predict").json == {"predictions": [3.0]}


def test_elsewhere_is_nothing(small):
    assert small.get("/statuspage").status == 404


# Predict


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("half", [3.0]),
        ("half/versions/123", [3.0]),
        ("half/labels/best", [3.0]),
        ("two", [4.0]),
        ("two/versions/1", [3.0]),
        ("two/labels/stable", [3.0]),
        ("two/labels/canary", [4.0]),
    ],
)
def test_the_version_that_is_named_answers_else_the_newest(small, path, expected):
    assert predict(small, {"instances": [2.0]}, f"/v1/models/{path}:predict").json == {"predictions": expected}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"instances": [1, 2.0, 3, 4]}', {"predictions": [2.5, 3.0, 3.5, 4.0]}),
        ('{"instances": [2e0, -4E+1]}', {"predictions": [3.0, -18.0]}),
        ('{"instances": [[1, 2], [3, 4]]}', {"predictions": [[2.5, 3.0], [3.5, 4.0]]}),
        ('{"instances": [{"x": 1}, {"x": 2}]}', {"predictions": [2.5, 3.0]}),
        ('{"instances": [[]]}', {"predictions": [[]]}),
        ('{"inputs": [2, 3]}', {"outputs": [3.0, 3.5]}),
        ('{"inputs": {"x": [2, 3]}}', {"outputs": [3.0, 3.5]}),
        ('{"inputs": 5}', {"outputs": 4.5}),
        ('{"inputs": []}', {"outputs": []}),
        ('{"signature_name": "", "instances": [2]}', {"predictions": [3.0]}),
        ('{"instances": [2.2250738585072014e-308]}', {"predictions": [2.0]}),
        ('{"instances": [2], "nested": [[[1]]], "more": true}', {"predictions": [3.0]}),
        ('{"instances": [2]}trailing', {"predictions": [3.0]}),
        ('{"instances": [2], "instances": [4]}', {"predictions": [3.0]}),
        ('\ufeff {"instances": [2]}', {"predictions": [3.0]}),
    ],
)
def test_rows_and_columns(small, body, expected):
    reply = predict(small, body)

    assert (reply.status, reply.json) == (200, expected)


def test_nan_and_infinity_go_in_and_out_as_bare_words(small):
    reply = predict(small, '{"instances": [NaN, Infinity, -Infinity, -Inf, Inf, 2.0]}')

    assert b"[NaN, Infinity, -Infinity, -Infinity, Infinity, 3.0]" in reply.content
    assert math.isnan(reply.json["predictions"][0])


def test_a_body_packed_by_gzip_is_unpacked(small):
    reply = small.post(PREDICT, gzip.compress(b'{"instances": [2.0]}'), Content_Encoding="gzip")

    assert reply.json == {"predictions": [3.0]}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("   ", "JSON Parse error: The document is empty. at offset: 3"),
        ("instances = [1]", "JSON Parse error: Invalid value. at offset: 0"),
        ('{"instances": [1, 2}', "Missing a comma or ] after an array element. at offset: 19"),
        ('{"instances" [1]}', "Missing a colon after a name of object member."),
        ('{"instances": [1] "b": 2}', "Missing a comma or } after an object member."),
        ("{instances: [1]}", "Missing a name for object member. at offset: 1"),
        ('{"instances: [1]}', "Missing a closing quotation mark in string."),
        ('{"a": "\\x"}', "Invalid escape character in string."),
        ('{"instances": [1.]}', "Miss fraction part in number."),
        ('{"instances": [1e]}', "Miss exponent in number."),
        ('{"instances": [1e400]}', "Number too big to be stored in double."),
        ('{"instances": [' + "9" * 5000 + "]}", "Number too big to be stored in double."),
        ('{"instances": [' + "9" * 400 + "]}", "Number too big to be stored in double."),
        ("[1.0]", "JSON Value: [1.0] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1], "inputs": [1]}', "expecting only one of 'inputs' or 'instances' keys to exist"),
        ('{"instances": {"x": 1.0}}', "to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": ["x"]}', 'JSON Value: "x" Type: String is not of expected type: float'),
        ('{"instances": [null]}', "Type: Null is not of expected type: float"),
        ('{"instances": [1, true]}', "Type: True is not of expected type: float"),
        ('{"instances": [{"b64": "aGVsbG8="}]}', "Type: Object is not of expected type: float"),
        ('{"instances": [1.0, "a"]}', "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "),
        ('{"instances": [1e39]}', "to float without loss of precision."),
        ('{"instances": [16777217]}', "Cannot convert JSON value: 16777217 to float without loss of precision."),
        ('{"signature_name": null, "instances": [1]}', "'signature_name' key must be a string value."),
        ('{"signature_name": "no", "instances": [1]}', 'Serving signature name: "no" not found in signature def'),
        ('{"instances": [[1, 2], [3, 4], [5, 6, 7]]}', "Expecting tensor size: 2 but got: 3"),
        ('{"instances": [[1, 2], [[5, 6]]]}', "Expecting shape [2] but got: [1,2]"),
        ('{"instances": [1, [1]]}', "Expecting shape [] but got: [1]"),
        ('{"instances": [[[1, 2], [3]]]}', "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ('{"instances": [[1, [2]]]}', "Encountered list at unexpected level: 1 expected < 1"),
        ('{"instances": [[[1], 2]]}', "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ('{"instances": [{"x": 1.0}, [1.0]]}', "Expecting object but got list at item 1"),
        ('{"instances": [[1.0], {"x": 1.0}]}', "Expecting value/list but got object at item 1"),
        ('{"instances": [{"z": 1.0}]}', "does not have named input: z"),
        ('{"inputs": {"y": [1.0]}}', "Missing named input: x in 'inputs' object."),
    ],
)
def test_what_is_wrong_with_a_request_is_told_as_tensorflow_serving_tells_it(small, body, text):
    reply = predict(small, body)

    assert reply.status == 400
    assert reply.headers["content-type"] == "application/json"
    assert text in reply.error


def test_the_body_is_read_before_the_model_is_looked_for(small):
    assert "The document is empty" in predict(small, "", "/v1/models/nope:predict").error
    reply = predict(small, {"instances": [1]}, "/v1/models/nope:predict")
    assert (reply.status, reply.error) == (404, "Servable not found for request: Latest(nope)")
    reply = predict(small, {"instances": [1]}, "/v1/models/half/versions/7:predict")
    assert (reply.status, reply.error) == (404, "Servable not found for request: Specific(half, 7)")


# Types


def of_type(small, dtype, values, key="instances"):
    return small.post("/v1/models/types:predict", f'{{"signature_name": "{dtype}", "{key}": {values}}}')


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int32", "[[1, 2], [3, 4]]"),
        ("uint8", "[[[0, 127, 255]]]"),
        ("int8", "[-128, 127]"),
        ("int64", "[9223372036854775807, -9223372036854775808]"),
        ("uint64", "[18446744073709551615, 0]"),
        ("uint32", "[4294967295]"),
        ("bool", "[true, false]"),
        ("string", '["a", "ä", ""]'),
        ("float32", "[0.2, 0.333333343, 16777216.0, -0.0, 3.0, 1e+06, 1e-05]"),
        ("float64", "[0.2, 0.33333333333333331, 1e+300, 9007199254740991.0]"),
    ],
)
def test_values_of_each_type_come_back_as_they_are_written(small, dtype, values):
    reply = of_type(small, dtype, values)

    assert reply.status == 200
    assert f'"predictions": {values}'.encode() in reply.content


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int32", "[1.0]"),
        ("int32", "[2147483648]"),
        ("int32", "[NaN]"),
        ("uint8", "[256]"),
        ("uint8", "[-1]"),
        ("uint32", "[-1]"),
        ("int64", "[9223372036854775808]"),
        ("uint64", "[18446744073709551616]"),
        ("bool", "[1]"),
        ("string", "[5]"),
    ],
)
def test_values_of_another_type_are_refused(small, dtype, values):
    reply = of_type(small, dtype, values)

    assert reply.status == 400
    assert f"is not of expected type: {dtype}" in reply.error


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        ('[{"b64": "aGVsbG8="}, "plain"]', "instances", {"predictions": ["hello", "plain"]}),
        ('[{"b64": "aGVsbG8"}]', "instances", {"predictions": ["hello"]}),
        ('[{"x": [[{"b64": "aGVsbG8="}]]}]', "instances", {"predictions": [[["hello"]]]}),
        ('{"b64": "aGVsbG8="}', "inputs", {"outputs": "hello"}),
        ('{"x": [{"b64": "aGVsbG8="}]}', "inputs", {"outputs": ["hello"]}),
    ],
)
def test_base64_stands_for_bytes(small, values, key, expected):
    assert of_type(small, "string", values, key).json == expected


def test_outputs_called_bytes_are_written_in_base64_and_keep_every_byte(small):
    assert of_type(small, "bytes", '[{"b64": "/9j/4AAQAP8="}]').json == {"predictions": [{"b64": "/9j/4AAQAP8="}]}


@pytest.mark.parametrize("text", ["_9j_4AAQ", "a", "aGVs bG8=!", "=aGV"])
def test_what_is_no_base64_is_refused(small, text):
    assert "Unable to base64 decode" in of_type(small, "string", f'[{{"b64": "{text}"}}]').error


def test_an_object_that_is_more_than_base64_is_refused(small):
    reply = of_type(small, "string", '{"x": [{"b64": "aGVsbG8=", "more": 1}]}', "inputs")
    assert "not formatted correctly for base64 data" in reply.error


# Several inputs and outputs


def of_pairs(small, body):
    return small.post("/v1/models/pairs:predict", json.dumps(body))


def test_several_inputs_and_outputs_are_named(small):
    rows = [{"a": 1, "b": [2, 3]}, {"a": 2, "b": [4, 5]}]
    assert of_pairs(small, {"instances": rows}).json == {
        "predictions": [{"product": [2.0, 3.0], "sum": 6.0}, {"product": [8.0, 10.0], "sum": 11.0}]
    }
    columns = {"a": [1], "b": [[2, 3]], "beside": [9]}
    assert of_pairs(small, {"inputs": columns}).json == {"outputs": {"product": [[2.0, 3.0]], "sum": [6.0]}}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"instances": [1.0]}, "instances is a plain list, but expecting list of objects"),
        ({"instances": [{"b64": "aGVsbG8="}]}, "instances is a plain list, but expecting list of objects"),
        ({"inputs": [1.0]}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"a": [1.0]}}, "Missing named input: b in 'inputs' object."),
        ({"instances": [{"a": 1}]}, "keys must be equal to: a,b"),
        ({"instances": [{"a": 1, "b": [2, 3]}, {"a": 2, "b": [[4, 5]]}]}, "Expecting shape [2] but got: [1,2]"),
        ({"instances": [{"a": 1, "b": [2, 3]}, {"a": 2, "b": [4]}]}, "Failed to process element: 1 key: b"),
        ({"instances": [{"a": 1, "b": [2, 3, 4]}]}, "Expected input 'b' of shape [-1,2]; received [1,3]."),
        ({"signature_name": "total", "instances": [1.0]}, "Tensor name: total has no shape information"),
        ({"signature_name": "uneven", "instances": [1.0]}, "has inconsistent batch size: 3 expecting: 1"),
    ],
)
def test_what_does_not_go_together_is_refused(small, body, text):
    reply = of_pairs(small, body)

    assert (reply.status, text in reply.error) == (400, True)


def test_outputs_that_do_not_go_by_rows_can_be_had_by_columns(small):
    assert of_pairs(small, {"signature_name": "total", "inputs": [1, 2]}).json == {"outputs": 3.0}
    assert of_pairs(small, {"signature_name": "uneven", "inputs": [1]}).json == {
        "outputs": {"same": [1.0], "three": [0.0, 0.0, 0.0]}
    }


# Classify and regress


def test_classify_and_regress(small):
    asked = {"signature_name": "classify", "examples": [{"x": 20.0}, {"x": [2.0]}]}
    assert small.post("/v1/models/half:classify", asked).json == {"results": [[["", 12.0]], [["", 3.0]]]}
    asked = {"signature_name": "regress", "examples": [{"x": 80.0}]}
    assert small.post("/v1/models/half/versions/123:regress", asked).json == {"results": [42.0]}


def test_the_context_is_in_every_example_and_an_examples_own_feature_goes_before_it(small):
    asked = {"signature_name": "regress", "context": {"x": 80.0}, "examples": [{}, {"x": 2.0}]}
    assert small.post("/v1/models/half:regress", asked).json == {"results": [42.0, 3.0]}


def test_regress_has_nan_and_infinity(small):
    reply = small.post(
        "/v1/models/half:regress", '{"signature_name": "regress", "examples": [{"x": NaN}, {"x": -Infinity}]}'
    )
    assert b"[NaN, -Infinity]" in reply.content


@pytest.mark.parametrize(
    ("verb", "body", "text"),
    [
        ("classify", '{"examples": {"a": 1}}', "Expecting 'examples' value to be an list/array"),
        ("classify", '{"examples": []}', "'examples' value is an empty array"),
        ("classify", "{}", "key 'examples' is expected and was not found"),
        ("classify", '{"examples": [[{"a": ["b"]}]]}', "Example must be JSON object but got JSON Array"),
        ("classify", '{"examples": [{"a": [10, null]}]}', "a has element with unexpected JSON type: Null"),
        (
            "classify",
            '{"examples": [{"a": [10, 10.0]}]}',
            "Unexpected element type in feature: a expecting type: int64",
        ),
        ("classify", '{"examples": [{"a": [10, {"b": 1}]}]}', "unexpected JSON type: Object"),
        ("classify", '{"examples": [{"a": [[1]]}]}', "unexpected JSON type: Array"),
        ("classify", '{"examples": [{"a": 18446744073709551615}]}', "has uint64 element. Only int64 is supported."),
        ("regress", '{"examples": [{"x": 1.0}]}', "No regression inputs found in SignatureDef"),
        ("classify", '{"examples": [{"x": 1.0}]}', "No classification inputs found in SignatureDef"),
        ("regress", '{"signature_name": "no", "examples": [{}]}', "No signature was found with the name: no"),
        (
            "regress",
            '{"signature_name": "regress", "examples": [{"x": 80}]}',
            "Data types don't match. Expected type: float",
        ),
        (
            "regress",
            '{"signature_name": "regress", "examples": [{"y": 8.0}]}',
            "Feature: x (data type: float) is required",
        ),
        ("regress", '{"signature_name": "regress", "examples": [{"x": [1.0, 2.0]}]}', "values != expected"),
    ],
)
def test_what_is_wrong_with_examples_is_told(small, verb, body, text):
    reply = small.post(f"/v1/models/half:{verb}", body)

    assert (reply.status, text in reply.error) == (400, True)


def test_examples_for_a_model_that_is_not_there(small):
    reply = small.post("/v1/models/nope:classify", {"examples": [{"x": 1.0}]})
    assert (reply.status, reply.error) == (404, "Servable not found for request: Latest(nope)")
