"""Tests of the server; a package, so that they share what `conftest.py` has."""
