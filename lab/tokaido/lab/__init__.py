"""What a laboratory does with devices: sharing them, logging, sweeps, alarms."""

from __future__ import annotations
