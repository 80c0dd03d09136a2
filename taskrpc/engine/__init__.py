"""Use cases and the loops that keep the queue moving."""
