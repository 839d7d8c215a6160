"""A role that Tokaido does not have, a variable optical attenuator, with one driver, its emulator and its contract."""
