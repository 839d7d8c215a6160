"""The daemon: one asyncio process that runs the core, the store, the devices and the listeners of a node."""
