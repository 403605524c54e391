"""Changes to training pictures that leave their label true."""
