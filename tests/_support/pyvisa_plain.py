"""A VISA backend that a transport cannot look inside: pyvisa-py, as if it were a vendor's (`?backend=@plain`)."""

from __future__ import annotations

from pyvisa_py.highlevel import PyVisaLibrary  # type: ignore[import-untyped]


class PlainLibrary(PyVisaLibrary):  # type: ignore[misc]
    """Used through viRead, viWrite, viReadSTB and viClear alone."""


WRAPPER_CLASS = PlainLibrary
