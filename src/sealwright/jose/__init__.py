"""RFC code: bytes in, bytes out. No I/O, no clock, no logging, no settings."""
