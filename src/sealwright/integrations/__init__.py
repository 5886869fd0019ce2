"""Room for other people's frameworks, one file each; none is in it yet."""
