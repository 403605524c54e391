"""Writing a trained network down, proved equal to its source."""
