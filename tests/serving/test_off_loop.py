"""What is large keeps the event loop from nobody else."""

import asyncio
import importlib

import pytest

VALUES = list(range(20_000))
FORM = '--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n{}\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("path", "kind", "body", "functions"),
    [
        (
            "/v1/models/types:predict",
            "application/json",
            lambda values: {"instances": values},
            ["tf_rest.parse_object", "tf_rest.read_predict", "tf_rest.write_predictions"],
        ),
        (
            "/v1/models/half:regress",
            "application/json",
            lambda values: {"signature_name": "regress", "examples": [{"x": float(value)} for value in values]},
            ["tf_rest.parse_object", "tf_rest.read_examples", "tf_rest.decimal"],
        ),
        (
            "/v2/models/types/infer",
            "application/json",
            lambda values: {
                "inputs": [{"name": "x", "datatype": "FP32", "shape": [len(values)], "data": [*values, 0.5][1:]}]
            },
            ["open_inference.parse_object", "open_inference.read_tensor", "open_inference.write_values"],
        ),
        (
            "/v1/models/half:classify_image",
            "application/json",
            lambda values: {"images": ["aGVsbG8=" for _ in values[:50]], "beside": values},
            ["pictures.parse_object", "pictures.from_base64"],
        ),
        (
            "/v1/models/half:classify_image",
            "multipart/form-data; boundary=b",
            lambda values: FORM.format(" " * 10 * len(values)),
            ["pictures.read_form"],
        ),
    ],
    ids=["predict", "regress", "infer", "base64", "form"],
)
def test_what_is_large_is_read_and_written_away_from_the_event_loop(small, monkeypatch, path, kind, body, functions):
    called = []
    for name in functions:
        module, _, attribute = name.partition(".")
        module = importlib.import_module(f"opsin.serving.{module}")
        original = getattr(module, attribute)

        def note(*arguments, original=original, name=name, **options):
            called.append((name, asyncio._get_running_loop() is not None))
            return original(*arguments, **options)

        monkeypatch.setattr(module, attribute, note)
    for values, on_loop in ((VALUES[:100], True), (VALUES, False)):
        called.clear()

        reply = small.post(path, body(values), Content_Type=kind)

        assert reply.status == 200 or "is none" in reply.error
        assert set(called) == {(name, on_loop) for name in functions}
