"""Where verifiers remember what was presented before: in the process, in Redis, in a database."""
