"""Pure translation between bytes and objects: codecs, content negotiation, the envelope."""
