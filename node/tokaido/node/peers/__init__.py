"""How envelopes travel between neighbouring nodes: HTTPS with mutual TLS."""
