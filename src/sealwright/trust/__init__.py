"""THE VERIFYING SIDE: whose signatures count, and for what."""
