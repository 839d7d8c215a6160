"""Stations: devices of one place, links between them, moves of links. Users find the names in `tokaido.hal`."""
