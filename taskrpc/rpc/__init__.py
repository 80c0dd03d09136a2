"""One table: method name to typed params to handler."""
