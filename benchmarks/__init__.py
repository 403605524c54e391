"""What the speed figures of the README come from: one command a table, each rival measured in the same run."""
