"""Work on what is large, away from the event loop: others' requests are not to wait for it."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

_LARGE = 64 * 1024
Given = TypeVar("Given")


async def off_loop(size: int, function: Callable[..., Given], *arguments: Any, **options: Any) -> Given:
    """Call a function: at once, or in a thread, which takes a moment, if what it works on is large.

    Args:
        size: how large, in bytes.
        function: what is called, with what else is given.
        arguments: for it.
        options: for it.
    """
    if size < _LARGE:
        return function(*arguments, **options)
    return await asyncio.to_thread(function, *arguments, **options)
