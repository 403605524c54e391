"""What an answer that is no success says: TensorFlow Serving's codes, and the HTTP status that each stands for."""

from collections.abc import Mapping

from opsin.errors import OpsinError

HTTP = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
    # Ours: what TensorFlow Serving has no code for.
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "MISDIRECTED": 421,
}


class StatusError(OpsinError):
    """A request that cannot be answered.

    Args:
        code: one of `HTTP`.
        message: for the client: neither a path of this machine nor a line of code.
        headers: of the answer.
    """

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    @property
    def http(self) -> int:
        """The HTTP status."""
        return HTTP[self.code]


def invalid(message: str) -> StatusError:
    """Return what a request that is wrong in itself is answered with."""
    return StatusError("INVALID_ARGUMENT", message)
