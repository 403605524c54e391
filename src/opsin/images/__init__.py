"""Pixels: the only decoder, the only resizer, and pictures that are drawn."""
