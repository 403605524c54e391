"""`:classify_image`: whole picture files in, class names out."""

import re
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from starlette.requests import Request

from opsin.errors import PictureError
from opsin.serving.classifier_servable import ClassifierServable, Judged, Seen
from opsin.serving.explaining import Explainer, read_job
from opsin.serving.json_reading import parse_object
from opsin.serving.json_tensors import from_base64, is_base64
from opsin.serving.models import Model, Models, using
from opsin.serving.multipart import read_form
from opsin.serving.off_loop import off_loop
from opsin.serving.servable import Servable
from opsin.serving.settings import Settings
from opsin.serving.status import StatusError, invalid
from opsin.serving.tf_rest import Target, read_number

_ADDRESS = re.compile(
    r"/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify_image|explain_image)", re.ASCII
)
_TOP = 3
_RAW = ("application/octet-stream", "binary/octet-stream")
_FORM_FIELDS = 8
"""How many parts a form may have beside its pictures."""


class Sent(NamedTuple):
    """A picture that a client sent."""

    name: str | None
    """What the client calls it; used for nothing but to say it again."""
    content: bytes
    error: str = ""
    """Why there is no content."""


class Asked(NamedTuple):
    """What a client asks for."""

    pictures: list[Sent]
    options: dict[str, Any]


def read_picture_address(path: str) -> Target | None:
    """Return what an address of this API means; None if it is none."""
    match = _ADDRESS.fullmatch(path)
    if match is None:
        return None
    return Target(unquote(match[1]), read_number(match[2]), unquote(match[3]) if match[3] else None, match[4])


async def read_pictures(request: Request, body: bytes, settings: Settings) -> Asked:
    """Return the pictures of a request: a form's files, an image as the whole body, or base64 in JSON.

    Raises:
        StatusError: there is none, there are too many, or it is nothing of these.
    """
    content_type = request.headers.get("content-type", "")
    media = content_type.partition(";")[0].strip().lower()
    options: dict[str, Any] = {name: values[-1] for name, values in _query(request).items()}
    if media.startswith("image/") or media in _RAW:
        pictures = [Sent(None, body)]
    elif media == "multipart/form-data":
        pictures = []
        most = settings.max_pictures + _FORM_FIELDS
        for part in await off_loop(len(body), read_form, content_type, body, max_parts=most):
            if part.filename is None and part.name in _OPTIONS:
                options[part.name] = part.content.decode("utf-8", "replace")
            else:
                pictures.append(Sent(part.filename or part.name, part.content))
    elif media in ("application/json", ""):
        document = await off_loop(len(body), parse_object, body, max_values=settings.max_values)
        pictures = await off_loop(len(body), _from_json, document, options)
    else:
        raise StatusError(
            "UNSUPPORTED_MEDIA_TYPE",
            "Expected a Content-Type of image/..., application/octet-stream, multipart/form-data or application/json; "
            f"received {media[:100]!r}.",
        )
    if not pictures:
        raise invalid("Expected at least one picture; received none.")
    if len(pictures) > settings.max_pictures:
        raise StatusError(
            "TOO_LARGE", f"Expected at most {settings.max_pictures} pictures in a request; received {len(pictures)}."
        )
    return Asked(pictures, options)


_OPTIONS = ("top_k", "class", "method")


def _query(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.scope["query_string"].decode("latin-1"), max_num_fields=20)
    except ValueError as error:
        raise invalid("Expected at most 20 fields in the address's query; received more.") from error


def _from_json(document: dict, options: dict[str, Any]) -> list[Sent]:
    options.update({name: document[name] for name in _OPTIONS if name in document})
    images = document.get("images", [document["image"]] if "image" in document else None)
    if not isinstance(images, list):
        raise invalid("Expected the key 'images' with a list of pictures in base64; received none.")
    return [_from_base64(image) for image in images]


def _from_base64(image: Any) -> Sent:
    if is_base64(image):
        image = image["b64"]
    if not isinstance(image, str):
        return Sent(None, b"", "it is no text in base64")
    if image.startswith(("http:", "https:", "file:", "ftp:")):
        return Sent(None, b"", "it is an address, and addresses are never fetched; send the picture itself in base64")
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        return Sent(None, from_base64(image))
    except StatusError:
        return Sent(None, b"", "it is no base64")


def read_top(options: dict[str, Any], most: int) -> int:
    """Return how many classes are to be named for each picture.

    Raises:
        StatusError: it is no whole number from 1 on.
    """
    given = options.get("top_k", min(_TOP, most))
    if isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < 10:
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise invalid(f"Expected top_k as a whole number of at least 1; received {str(given)[:50]!r}.")
    return min(given, most)


async def explain_image(models: Models, target: Target, asked: Asked, explainer: Explainer) -> dict[str, Any]:
    """Answer an `:explain_image` request.

    Raises:
        StatusError: it is not one picture, or it cannot be explained here.
    """
    model, version = models.find(target.name, target.number, target.label)
    if len(asked.pictures) != 1:
        raise invalid(f"Expected one picture to explain; received {len(asked.pictures)}.")
    (sent,) = asked.pictures
    with using(version) as servable:
        _require_classifier(model, servable)
        try:
            if sent.error:
                raise PictureError(sent.error)
            servable.require_readable(sent.content)
        except PictureError as error:
            raise invalid(f"Expected a picture that can be read; the picture cannot be read: {error.reason}.") from None
        found = await explainer.explain(read_job(servable.source, sent.content, asked.options))
    return {"model": model.name, "version": version.number, **found}


def _require_classifier(model: Model, servable: Servable) -> None:
    if not isinstance(servable, ClassifierServable):
        raise invalid(f"Expected a model of pictures; {model.name!r} is none.")


class Told(NamedTuple):
    """An answer, and what it was made of, for the log."""

    document: dict[str, Any]
    status: int
    seen: list[Seen]


async def classify_images(models: Models, target: Target, asked: Asked) -> Told:
    """Answer a `:classify_image` request.

    Raises:
        StatusError: there is no such model, or it cannot be asked now.
    """
    start = time.perf_counter()
    model, version = models.find(target.name, target.number, target.label)
    with using(version) as servable:
        _require_classifier(model, servable)
        top = read_top(asked.options, len(servable.classifier.class_names))
        readable = [sent for sent in asked.pictures if not sent.error]
        seen = iter(await servable.see([sent.content for sent in readable]))
        unread = [Seen(None, sent.error, 0.0, None) for sent in asked.pictures if sent.error]
        refused = iter(servable.note(unread))
        all_seen = [next(refused if sent.error else seen) for sent in asked.pictures]
        names = servable.classifier.class_names
        predictions = [_prediction(sent, one, names, top) for sent, one in zip(asked.pictures, all_seen, strict=True)]
    document = {
        "model": model.name,
        "version": version.number,
        "predictions": predictions,
        "timing_ms": _timing(all_seen, time.perf_counter() - start),
    }
    errors = [one.error for one in all_seen if one.error]
    if len(errors) < len(all_seen):
        return Told(document, 200, all_seen)
    what = "the picture" if len(errors) == 1 else f"none of {len(errors)} pictures"
    message = f"Expected a picture that can be read; {what} {'cannot be read' if len(errors) == 1 else 'can be read'}: "
    return Told({"error": f"{message}{errors[0]}.", **document}, 400, all_seen)


def _prediction(sent: Sent, seen: Seen, names: tuple[str, ...], top: int) -> dict[str, Any]:
    named = {} if sent.name is None else {"name": sent.name[:500]}
    if seen.judged is None:
        return {**named, "error": seen.error}
    return {**named, **describe(seen.judged, names, top)}


def describe(judged: Judged, names: tuple[str, ...], top: int) -> dict[str, Any]:
    """Return what is said of one picture."""
    order = (-judged.probabilities).argsort(kind="stable")[:top]
    best = [{"label": names[index], "probability": float(judged.probabilities[index])} for index in order]
    label = "unknown" if judged.refused else best[0]["label"]
    return {"label": label, "probability": best[0]["probability"], "unknown": judged.refused, "top": best}


def _timing(seen: list[Seen], total: float) -> dict[str, float]:
    answered = [one.answer for one in seen if one.answer is not None]
    return {
        "decode": _milliseconds(max(one.decoded for one in seen)),
        "queue": _milliseconds(max((one.queued for one in answered), default=0.0)),
        "inference": _milliseconds(max((one.ran for one in answered), default=0.0)),
        "total": _milliseconds(total),
    }


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)
