"""The whole line on one machine: its files, its processes, what is seen of it, and what is done to it."""
