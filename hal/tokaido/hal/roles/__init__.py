"""Roles: vendor-neutral contracts of devices, without any I/O. Users find the names in `tokaido.hal`."""
