"""Where key records live."""
