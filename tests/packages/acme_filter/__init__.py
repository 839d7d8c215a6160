"""A role that Tokaido does not have, a tunable optical filter, with one driver, its emulator and its contract."""
