"""`Link`: a picture on the web, as a source beside paths and contents."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A picture on the web, fetched when it is read: in the threads that read pictures.

    Args:
        url: its http or https address.
    """

    url: str

    def fetch(self) -> bytes:
        """Return the file's content.

        Raises:
            PictureError: it cannot be had, or its address is none of the public internet.
        """
        # Not at the top: most predictions need no network.
        from opsin.images.download import download

        return download(self.url)
