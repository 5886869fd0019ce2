"""Room for other people's frameworks, one file each: none imports another's, and each asks the same Guard."""
