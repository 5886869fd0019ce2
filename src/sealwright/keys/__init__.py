"""THE SIGNING SIDE: which key may sign now, and who holds it."""
