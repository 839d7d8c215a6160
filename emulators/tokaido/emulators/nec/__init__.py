"""Emulated NEC-style units, after docs/protocols/nec.md."""
