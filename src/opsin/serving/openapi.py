"""What the server takes and gives, as an OpenAPI document, and as a page that needs no network."""

import html
import json
from collections.abc import Sequence
from typing import Any

from opsin import __version__
from opsin.serving.settings import Settings

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f3f0;border-radius:4px}code{padding:0 .25em}
pre{padding:.75rem;overflow:auto}section{border-top:1px solid #ddd;margin-top:1.5rem}
b.method{display:inline-block;min-width:3.5rem}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}code,pre{background:#262626}}
"""

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_B64 = {"type": "object", "properties": {"b64": _TEXT}, "required": ["b64"], "additionalProperties": False}
_IMAGE = {"oneOf": [{"type": "string", "contentEncoding": "base64"}, _B64]}
_ERROR = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
_RANKED = {
    "type": "object",
    "properties": {"label": _TEXT, "probability": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["label", "probability"],
}
_SAID = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "label": _TEXT,
        "probability": _NUMBER,
        "unknown": {"type": "boolean"},
        "top": {"type": "array", "items": _RANKED},
        "error": _TEXT,
    },
}
_ANSWER = {
    "type": "object",
    "properties": {
        "model": _TEXT,
        "version": {"type": "integer"},
        "predictions": {"type": "array", "items": _SAID},
        "timing_ms": {"type": "object", "additionalProperties": _NUMBER},
    },
    "required": ["model", "version", "predictions", "timing_ms"],
}
_TOP = {"name": "top_k", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}
_ANY_OBJECT = {"type": "object"}


def document(names: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        names: of the models that are served.
        settings: of which the limits are told.
    """
    model = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": list(names)}}
    limits = (
        f"At most {settings.max_pictures} pictures, {settings.max_bytes} bytes and {settings.timeout:g} s a request, "
        f"{settings.max_pixels} pixels a picture. 429 when the queue is full, 503 while loading or stopping."
    )
    paths: dict[str, Any] = {
        "/healthz": {"get": _operation("The process lives", {"200": "It does"}, _ANY_OBJECT)},
        "/readyz": {"get": _operation("Requests are welcome", {"200": "They are"}, _ANY_OBJECT, errors=("503",))},
        "/metrics": {"get": _operation("Numbers for Prometheus", {"200": "They"}, _TEXT, media="text/plain")},
        "/v2": {"get": _operation("About the server (Open Inference Protocol)", {"200": "It"}, _ANY_OBJECT)},
        "/v2/health/live": {"get": _operation("The process lives", {"200": "It does"}, _ANY_OBJECT)},
        "/v2/health/ready": {
            "get": _operation("Requests are welcome", {"200": "They are"}, _ANY_OBJECT, errors=("503",))
        },
    }
    for where, parameters in _places(model):
        paths |= _of_model(where, parameters, limits)
    paths["/v2/models/{name}"] = {
        "get": _operation("A model's inputs and outputs", {"200": "They"}, _ANY_OBJECT, [model], errors=("404",))
    }
    paths["/v2/models/{name}/ready"] = {
        "get": _operation("A model is ready", {"200": "It is"}, _ANY_OBJECT, [model], errors=("404", "503"))
    }
    paths["/v2/models/{name}/infer"] = {
        "post": _operation(
            "Infer (Open Inference Protocol)", {"200": "Tensors"}, _ANY_OBJECT, [model], {"application/json": _TENSORS}
        )
    }
    body = {
        "type": "object",
        "properties": {"version": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**53}},
        "required": ["version"],
    }
    paths["/admin/models/{name}/default"] = {
        "post": _operation(
            "Let a version that is loaded answer; null for the newest",
            {"200": "It does"},
            _ANY_OBJECT,
            [model],
            {"application/json": body},
        )
    }
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Opsin", "version": __version__, "description": limits},
        "paths": paths,
        "components": {"securitySchemes": schemes},
        "security": [{"key": []}, {"bearer": []}] if settings.api_key else [],
    }


_TENSOR = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "datatype": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "data": {"type": "array"},
    },
    "required": ["name", "datatype", "shape", "data"],
}
_TENSORS = {
    "type": "object",
    "properties": {"id": _TEXT, "inputs": {"type": "array", "items": _TENSOR, "minItems": 1}},
    "required": ["inputs"],
}
_PREDICT = {
    "type": "object",
    "properties": {"signature_name": _TEXT, "instances": {"type": "array", "minItems": 1}, "inputs": {}},
}
_EXAMPLES = {
    "type": "object",
    "properties": {
        "signature_name": _TEXT,
        "context": _ANY_OBJECT,
        "examples": {"type": "array", "items": _ANY_OBJECT, "minItems": 1},
    },
    "required": ["examples"],
}


def _places(model: dict) -> list[tuple[str, list[dict]]]:
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    label = {
        "name": "label",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    }
    return [
        ("/v1/models/{name}", [model]),
        ("/v1/models/{name}/versions/{version}", [model, version]),
        ("/v1/models/{name}/labels/{label}", [model, label]),
    ]


def _of_model(where: str, parameters: list[dict], limits: str) -> dict[str, Any]:
    picture = {"type": "string", "format": "binary"}
    images = {
        "type": "object",
        "properties": {"images": {"type": "array", "items": _IMAGE}, "top_k": {"type": "integer"}},
    }
    form = {
        "type": "object",
        "properties": {"images": {"type": "array", "items": picture}, "top_k": {"type": "integer"}},
        "required": ["images"],
    }
    pictures = {
        "application/json": images,
        "multipart/form-data": form,
        **dict.fromkeys(("image/jpeg", "image/png", "application/octet-stream"), picture),
    }
    results = {"type": "object", "properties": {"results": {"type": "array"}}, "required": ["results"]}
    told = _operation(
        "The states of a model's versions", {"200": "They"}, _ANY_OBJECT, parameters, errors=("400", "404")
    )
    signatures = _operation(
        "A model's signatures", {"200": "They"}, _ANY_OBJECT, parameters, errors=("400", "404", "503")
    )

    def call(summary: str, schema: dict, bodies: dict, more: Sequence[dict] = ()) -> dict:
        return {"post": _operation(summary, {"200": "The answer"}, schema, [*parameters, *more], bodies)}

    classify = call("Name the classes of pictures. " + limits, _ANSWER, pictures, [_TOP])
    classify["post"]["responses"]["400"] = _response("No picture can be read, or the request is wrong", _ERROR)
    chosen = [{"name": name, "in": "query", "schema": _TEXT} for name in ("class", "method")]
    explain = call("Draw what in one picture speaks for a class (needs TensorFlow)", _ANY_OBJECT, pictures, chosen)
    return {
        # Of a label, TensorFlow Serving tells the states of all versions, whichever it is.
        **({} if "{label}" in where else {where: {"get": told}}),
        f"{where}/metadata": {"get": signatures},
        f"{where}:classify_image": classify,
        f"{where}:explain_image": explain,
        f"{where}:predict": call("Run a signature (TensorFlow Serving)", _ANY_OBJECT, {"application/json": _PREDICT}),
        f"{where}:classify": call("Classify examples (TensorFlow Serving)", results, {"application/json": _EXAMPLES}),
        f"{where}:regress": call("Regress examples (TensorFlow Serving)", results, {"application/json": _EXAMPLES}),
    }


def _operation(
    summary: str,
    done: dict[str, str],
    schema: dict,
    parameters: Sequence[dict] = (),
    bodies: dict[str, dict] | None = None,
    *,
    media: str = "application/json",
    errors: Sequence[str] = (),
) -> dict[str, Any]:
    responses = {code: _response(text, schema, media) for code, text in done.items()}
    if bodies:
        errors = _CALL_ERRORS
    responses |= {
        code: _response(_MEANING[code], _ERROR if code != "503" else _ANY_OBJECT)
        for code in (*errors, "401", "403", "421")
    }
    found = {"summary": summary, "responses": responses}
    if parameters:
        found["parameters"] = list(parameters)
    if bodies:
        content = {kind: {"schema": one} for kind, one in bodies.items()}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _response(text: str, schema: dict, media: str = "application/json") -> dict[str, Any]:
    return {"description": text, "content": {media: {"schema": schema}}}


_CALL_ERRORS = ("400", "404", "408", "413", "415", "429", "500", "501", "503", "504")
_MEANING = {
    "400": "The request is wrong",
    "401": "A key is needed",
    "403": "Not from there",
    "404": "There is no such model or version",
    "408": "The request came too slowly",
    "413": "The request is too large",
    "415": "A Content-Type or Content-Encoding that is not taken",
    "421": "A Host that this server is not known by",
    "429": "The queue is full",
    "500": "The server failed",
    "501": "Not in this server",
    "503": "Loading or stopping",
    "504": "It takes too long",
}


def page(found: dict[str, Any]) -> str:
    """Return the document as a page of HTML, without a script and without anything from elsewhere."""
    parts = [_section(path, method, one) for path, methods in found["paths"].items() for method, one in methods.items()]
    title = html.escape(f"{found['info']['title']} {found['info']['version']}")
    about = html.escape(found["info"]["description"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="docs.css">'
        f"<h1>{title}</h1><p>{about} The same for programs: "
        f'<a href="openapi.json">openapi.json</a>.</p>{"".join(parts)}</html>'
    )


def _section(path: str, method: str, operation: dict[str, Any]) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    responses = {code: one["description"] for code, one in operation["responses"].items()}
    told = "".join(
        f"<p><code>{html.escape(kind)}</code></p><pre>{html.escape(json.dumps(body['schema'], indent=1))}</pre>"
        for kind, body in bodies.items()
    )
    ends = ", ".join(f"<code>{code}</code> {html.escape(text)}" for code, text in sorted(responses.items()))
    return (
        f'<section><h2><b class="method">{method.upper()}</b> <code>{html.escape(path)}</code></h2>'
        f"<p>{html.escape(operation['summary'])}</p>{told}<p>{ends}</p></section>"
    )
