"""Interfaces for applications: ETSI GS QKD 014 and Cisco SKIP, on one `KeyService`."""
