"""The node daemon: supervises a station, keeps and relays keys, serves applications."""
