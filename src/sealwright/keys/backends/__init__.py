"""Where private keys live: one file, one vendor import each."""
