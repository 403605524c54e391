"""What there is: data sets, how they are read and split, and their decoded pixels."""
