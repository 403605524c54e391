"""A backbone's outputs, computed once and kept: what heads are trained on, and what pictures are compared by."""
