"""A third party's family of QKD units: drivers, emulators and a demonstration, found by entry points alone.

Its control protocol is one line a request. `NAME?` asks for a value under its neutral name, `NAME VALUE` sets it, and
`do ORDER` orders; a reply is `=TEXT`, or `!CODE TEXT` for a refusal. Its key channel has JSON behind an id of 8 bytes.
"""
