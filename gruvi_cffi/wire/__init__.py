"""Sans-IO: bytes in, something readable out. No loop, no fiber, no clock."""
