"""What a classifier is worth: metrics, intervals, the report."""
