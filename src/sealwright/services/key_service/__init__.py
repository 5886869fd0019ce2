"""Key life, tokens and signatures over HTTP."""
