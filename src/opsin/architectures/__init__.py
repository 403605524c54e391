"""Networks: blocks, the classic families and the catalogue of their names."""
