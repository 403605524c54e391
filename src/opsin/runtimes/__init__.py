"""Running a finished network: one interface, one file a runtime."""
