"""HTTP: limits, codecs, the endpoint, plain reads, health."""
