"""Opsin: from a folder of pictures to an image classifier that can be trusted and shipped."""

__version__ = "0.1.0"
