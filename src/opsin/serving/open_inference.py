"""The Open Inference Protocol, version 2, over REST: health, metadata, infer."""

import json
import math
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from opsin import __version__
from opsin.serving.json_reading import as_text, parse_object
from opsin.serving.json_tensors import is_plain, read_tensor, require_shapes
from opsin.serving.json_writing import size_of, write_values
from opsin.serving.models import Models, Version, using
from opsin.serving.off_loop import off_loop
from opsin.serving.servable import DEFAULT_SIGNATURE, Servable, Signature, TensorSpec
from opsin.serving.status import StatusError, invalid
from opsin.serving.tf_rest import read_number

_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/(\d+))?(?:/(ready|infer))?", re.ASCII)
_SERVER = {"/v2": "server", "/v2/": "server", "/v2/health/live": "live", "/v2/health/ready": "ready"}


class Asked(NamedTuple):
    """What an address means."""

    verb: str
    """`server`, `live`, `ready`, `model`, `model_ready` or `infer`."""
    name: str = ""
    number: int | None = None


def read_address(method: str, path: str) -> Asked:
    """Return what is asked for.

    Raises:
        StatusError: it is nothing of this protocol.
    """
    if path in _SERVER:
        verb, match = _SERVER[path], None
    else:
        match = _MODEL.fullmatch(path)
        if match is None:
            raise StatusError(
                "NOT_FOUND", f"Expected an address of the Open Inference Protocol; received {path[:300]}."
            )
        verb = {None: "model", "ready": "model_ready", "infer": "infer"}[match[3]]
    wanted = "POST" if verb == "infer" else "GET"
    if method != wanted:
        raise StatusError("METHOD_NOT_ALLOWED", f"Expected {wanted} here; received {method}.", {"Allow": wanted})
    return Asked(verb) if match is None else Asked(verb, unquote(match[1]), read_number(match[2]))


def tell(models: Models, asked: Asked, *, ready: bool) -> tuple[dict[str, Any], int]:
    """Answer what is asked of the server or of a model, but to infer.

    Args:
        models: what is served.
        asked: what for.
        ready: whether the server takes requests.

    Returns:
        The answer and the HTTP status.

    Raises:
        StatusError: there is no such model.
    """
    if asked.verb == "server":
        return {"name": "opsin", "version": __version__, "extensions": []}, 200
    if asked.verb == "live":
        return {"live": True}, 200
    if asked.verb == "ready":
        ready = ready and models.ready()
        return {"ready": ready}, 200 if ready else 503
    if asked.verb == "model_ready":
        models.find(asked.name, asked.number)
        return {"name": asked.name, "ready": ready}, 200 if ready else 503
    model, version = models.find(asked.name, asked.number)
    signature = version.servable.signatures[DEFAULT_SIGNATURE]
    return {
        "name": model.name,
        "versions": [str(one.number) for one in reversed(model.available())],
        "platform": "opsin",
        "inputs": [_describe(name, spec) for name, spec in signature.inputs.items()],
        "outputs": [_describe(name, spec) for name, spec in signature.outputs.items()],
    }, 200


def _describe(name: str, spec: TensorSpec) -> dict[str, Any]:
    shape = [-1 if size is None else size for size in spec.shape or (None,)]
    return {"name": name, "datatype": spec.type.open_inference, "shape": shape}


async def infer(models: Models, asked: Asked, body: bytes, *, max_values: int) -> tuple[str, Version]:
    """Answer an inference request.

    Returns:
        The answer's JSON, and the version that gave it.

    Raises:
        StatusError: it cannot be answered.
    """
    document = await off_loop(len(body), parse_object, body, max_values=max_values)
    model, version = models.find(asked.name, asked.number)
    with using(version) as servable:
        inputs = _read_inputs(document)
        name, signature = _choose(servable, document, inputs.keys())
        tensors = {
            key: await off_loop(len(body), _read_input, inputs[key], spec, is_plain(body))
            for key, spec in signature.inputs.items()
        }
        require_shapes(signature, tensors)
        outputs = await servable.run(name, tensors)
    wanted = _wanted(document, outputs)
    told = {"model_name": model.name, "model_version": str(version.number)}
    if isinstance(document.get("id"), str):
        told["id"] = document["id"][:500]
    size = size_of(outputs)
    written = [await off_loop(size, _write, key, outputs[key], signature.outputs[key]) for key in wanted]
    return f'{json.dumps(told)[:-1]}, "outputs": [{", ".join(written)}]}}', version


def _read_inputs(document: dict) -> dict[str, dict]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise invalid("Expected 'inputs' as a list of tensors; received none.")
    found = {}
    for one in inputs:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise invalid(f"Expected each of 'inputs' as an object with a name; received {as_text(one)}.")
        if one["name"] in found:
            raise invalid(f"Expected each input once; received {one['name'][:200]!r} twice.")
        found[one["name"]] = one
    return found


def _choose(servable: Servable, document: dict, names: Any) -> tuple[str, Signature]:
    """Return the signature that is named, or else the one that takes inputs of these names."""
    parameters = document.get("parameters")
    named = parameters.get("signature_name") if isinstance(parameters, dict) else None
    if named is not None and (not isinstance(named, str) or named not in servable.signatures):
        raise invalid(f"Expected one of these as signature_name: {', '.join(servable.signatures)}; received another.")
    ordered = [named] if named else sorted(servable.signatures, key=lambda name: name != DEFAULT_SIGNATURE)
    for name in ordered:
        if servable.signatures[name].inputs.keys() == set(names):
            return name, servable.signatures[name]
    expected = "; ".join(f"{name}: {', '.join(servable.signatures[name].inputs)}" for name in ordered)
    raise invalid(f"Expected the inputs of a signature ({expected}); received {', '.join(names)[:300]}.")


def _read_input(given: dict, spec: TensorSpec, plain: bool) -> np.ndarray:
    name = given["name"]
    if given.get("datatype") != spec.type.open_inference:
        received = as_text(given.get("datatype"))
        raise invalid(f"Expected input {name!r} of datatype {spec.type.open_inference}; received {received}.")
    shape, data = given.get("shape"), given.get("data")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise invalid(f"Expected 'shape' of input {name!r} as whole numbers; received {as_text(shape)}.")
    if not isinstance(data, list):
        raise invalid(f"Expected 'data' of input {name!r} as a list; received {as_text(data)}.")
    parameters = given.get("parameters")
    packed = isinstance(parameters, dict) and parameters.get("content_type") == "base64"
    if packed and spec.dtype == "string":
        data = [{"b64": one} if isinstance(one, str) else one for one in data]
    tensor = read_tensor(data, spec, plain=plain)
    if math.prod(shape) != tensor.size:
        raise invalid(
            f"Expected {math.prod(shape)} values for input {name!r} of shape {shape}; received {tensor.size}."
        )
    return tensor.reshape(shape)


def _wanted(document: dict, outputs: Any) -> list[str]:
    given = document.get("outputs")
    if given is None or given == []:
        return list(outputs)
    if not isinstance(given, list):
        raise invalid("Expected 'outputs' as a list of objects with names; received another value.")
    names = [one.get("name") if isinstance(one, dict) else None for one in given]
    if unknown := [name for name in names if name not in outputs]:
        raise invalid(f"Expected outputs among {', '.join(outputs)}; received {as_text(unknown[0])}.")
    return names


def _write(name: str, values: np.ndarray, spec: TensorSpec) -> str:
    about = {"name": name, "datatype": spec.type.open_inference, "shape": list(values.shape)}
    return f'{json.dumps(about)[:-1]}, "data": {write_values(name, values.reshape(-1))}}}'
