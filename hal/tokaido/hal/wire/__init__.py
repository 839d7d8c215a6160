"""Framing of public standards, for drivers and emulators alike. Everything here is a pure function of bytes or text."""
