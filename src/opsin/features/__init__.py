"""A backbone's outputs, computed once and kept on disk: what heads are trained on, and what pictures are compared by."""
