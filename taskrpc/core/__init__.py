"""Pure rules: no clock, no socket, no SQL."""
