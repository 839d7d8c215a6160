"""PyVISA backend `@tokaido`: the emulated instruments of this process, without socket or thread.

`pyvisa.ResourceManager("@tokaido").open_resource(...)` finds what `tokaido.emulators.launch(..., wire_end="visa")` has
started in the same process, under the resource name that the launch chose or was given. PyVISA finds the backend by the
name of this package.
"""

from pyvisa_tokaido._library import TokaidoLibrary

WRAPPER_CLASS = TokaidoLibrary

__all__ = ["WRAPPER_CLASS", "TokaidoLibrary"]
