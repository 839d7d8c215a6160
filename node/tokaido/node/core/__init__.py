"""The core of a node: custody of link key, relay and supply, without any I/O.

Events come in, actions go out. Daemon, simulator of the chaos tests and emulated repeater run the same code.
"""
