#!/bin/sh
# Run a program in the foreground with Ctrl-C working, also below a make that ignores it.
trap - INT
exec "$@"
