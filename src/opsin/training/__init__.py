"""From data and settings to a run folder with a trained classifier in it."""
