"""Package of pyserial's URL handlers: `serial.protocol_handler_packages` is given its name."""
