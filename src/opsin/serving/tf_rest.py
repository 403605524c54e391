"""TensorFlow Serving's REST API: its addresses, its methods, its answers."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from opsin.serving.examples import read_examples
from opsin.serving.json_reading import parse_object
from opsin.serving.json_tensors import is_plain, read_predict, read_signature_name, require_shapes
from opsin.serving.json_writing import decimal, size_of, text, write_predictions
from opsin.serving.models import Models, Version, using
from opsin.serving.off_loop import off_loop
from opsin.serving.servable import DEFAULT_SIGNATURE, Signature, TensorSpec
from opsin.serving.status import StatusError, invalid

_WHICH = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
_CALL = re.compile(rf"/v1/models/([^/:]+){_WHICH}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_STATUS = re.compile(rf"/v1/models(?:/([^/:]+))?{_WHICH}(?:/(metadata))?", re.IGNORECASE | re.ASCII)
METHODS = ("predict", "classify", "regress")


class Target(NamedTuple):
    """What an address means."""

    name: str
    number: int | None
    label: str | None
    verb: str
    """One of `METHODS`, `metadata`, or empty for the status."""


def read_address(method: str, address: str) -> Target:
    """Return what is asked for.

    Args:
        method: HTTP's.
        address: path and query, as they came.

    Raises:
        StatusError: it is nothing of this API.
    """
    pattern = {"POST": _CALL, "GET": _STATUS}.get(method)
    match = pattern.fullmatch(address) if pattern else None
    if match is None or (method == "POST" and match[4] not in METHODS):
        raise invalid(f"Malformed request: {method} {address[:500]}")
    return Target(
        unquote(match[1] or ""),
        read_number(match[2]),
        unquote(match[3]) if match[3] else None,
        (match[4] or "").lower(),
    )


def read_number(digits: str | None) -> int | None:
    """Return a version's number; None if none is given.

    Raises:
        StatusError: it does not fit into 64 bits.
    """
    if not digits:
        return None
    if len(digits) > 19 or int(digits) >= 2**63:
        raise invalid(f"Failed to convert version: {digits[:100]} to numeric.")
    return int(digits)


# Asking


def status(models: Models, target: Target) -> str:
    """Return the states of a model's versions."""
    if not target.name:
        raise invalid("Missing model name in request.")
    states = [
        {
            "version": str(version.number),
            "state": version.state,
            "status": {"error_code": version.code, "error_message": version.message},
        }
        for version in models.states(target.name, target.number)
    ]
    return json.dumps({"model_version_status": states}, indent=1)


def metadata(models: Models, target: Target) -> str:
    """Return the signatures of a model's version."""
    if not target.name:
        raise invalid("Missing model name in request.")
    model, version = models.find(target.name, target.number, target.label)
    signatures = {name: _signature(one) for name, one in version.servable.signatures.items()}
    return json.dumps(
        {
            "model_spec": {"name": model.name, "signature_name": "", "version": str(version.number)},
            "metadata": {"signature_def": {"signature_def": signatures}},
        },
        indent=1,
    )


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor(name, spec) for name, spec in signature.inputs.items()},
        "outputs": {name: _tensor(name, spec) for name, spec in signature.outputs.items()},
        "method_name": signature.method,
        "defaults": {},
    }


def _tensor(name: str, spec: TensorSpec) -> dict[str, Any]:
    dimensions = [{"size": str(-1 if size is None else size), "name": ""} for size in spec.shape or ()]
    shape = {"dim": dimensions, "unknown_rank": spec.shape is None}
    return {"dtype": spec.type.constant, "tensor_shape": shape, "name": spec.name or f"{name}:0"}


# Calling


async def call(models: Models, target: Target, body: bytes, *, max_values: int) -> tuple[str, Version]:
    """Answer a `:predict`, `:classify` or `:regress` request.

    Args:
        models: what there is.
        target: what is called.
        body: the request's JSON.
        max_values: how many values it may hold.

    Returns:
        The answer's JSON and the version that gave it.

    Raises:
        StatusError: it cannot be answered.
    """
    document = await off_loop(len(body), parse_object, body, max_values=max_values)
    if target.verb == "predict":
        return await _predict(models, target, document, body)
    name = read_signature_name(document) or DEFAULT_SIGNATURE
    examples = await off_loop(len(body), read_examples, document)
    serialized = np.empty(len(examples), object)
    serialized[:] = examples
    _, version = models.find(target.name, target.number, target.label)
    kind = _KINDS[target.verb]
    with using(version) as servable:
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f"No signature was found with the name: {name[:200]}")
        kind.check(signature)
        outputs = await servable.run(name, {"inputs": serialized})
    results = await off_loop(size_of(outputs), kind.write, outputs, len(serialized))
    return f'{{\n    "results": [{", ".join(results)}]\n}}', version


async def _predict(models: Models, target: Target, document: dict, body: bytes) -> tuple[str, Version]:
    name = read_signature_name(document) or DEFAULT_SIGNATURE
    _, version = models.find(target.name, target.number, target.label)
    with using(version) as servable:
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f'Serving signature name: "{name[:200]}" not found in signature def')
        request = await off_loop(len(body), read_predict, document, signature, plain=is_plain(body))
        require_shapes(signature, request.inputs)
        outputs = await servable.run(name, request.inputs)
    return await off_loop(size_of(outputs), write_predictions, outputs, by_rows=request.by_rows), version


def _check_classify(signature: Signature) -> None:
    _require_one_input(signature, "classification")
    if len(signature.outputs) > 2:
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if not signature.outputs.keys() & {"classes", "scores"}:
        raise StatusError(
            "FAILED_PRECONDITION",
            'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature '
            f"was: {json.dumps(_signature(signature))}",
        )


def _check_regress(signature: Signature) -> None:
    if len(signature.outputs) != 1 and len(signature.inputs) == 1:
        raise invalid("Expected one output Tensor.")
    _require_one_input(signature, "regression")
    if "outputs" not in signature.outputs:
        raise _missing("regression outputs", signature)


def _require_one_input(signature: Signature, kind: str) -> None:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if "inputs" not in signature.inputs:
        raise _missing(f"{kind} inputs", signature)


def _missing(what: str, signature: Signature) -> StatusError:
    described = json.dumps(_signature(signature))
    return StatusError("FAILED_PRECONDITION", f"No {what} found in SignatureDef: {described}")


def _classifications(outputs: Mapping[str, np.ndarray], count: int) -> list[str]:
    classes, scores = outputs.get("classes"), outputs.get("scores")
    for name, tensor in (("classes", classes), ("scores", scores)):
        if tensor is not None and tensor.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {list(tensor.shape)}")
        if tensor is not None and len(tensor) != count:
            raise invalid(f"Expected {name} output batch size of {count}. Got: {len(tensor)}")
    width = (scores if classes is None else classes).shape[1]
    if scores is not None and scores.shape[1] != width:
        raise invalid(f"Tensors class and score should match in dim_size(1). Got {width} vs. {scores.shape[1]}")
    return [
        "["
        + ", ".join(
            f"[{text(b'' if classes is None else classes[row, column])}, "
            f"{decimal(0.0 if scores is None else float(scores[row, column]))}]"
            for column in range(width)
        )
        + "]"
        for row in range(count)
    ]


def _regressions(outputs: Mapping[str, np.ndarray], count: int) -> list[str]:
    values = outputs["outputs"]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {list(values.shape)}"
        )
    if len(values) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(values)}")
    return [decimal(float(value)) for value in values.reshape(-1)]


class _Kind(NamedTuple):
    check: Callable[[Signature], None]
    write: Callable[[Mapping[str, np.ndarray], int], list[str]]


_KINDS = {"classify": _Kind(_check_classify, _classifications), "regress": _Kind(_check_regress, _regressions)}
