"""What a laboratory does with devices: sharing them, logging, sweeps, settings, alarms."""

from __future__ import annotations
