#!/bin/sh
# Print an interpreter that is Python 3.11 or newer: by running it, since a name on the path proves nothing.
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$candidate"
        exit 0
    fi
done
echo "Sealwright needs Python 3.11 or newer and found none. Install it, or name it: make PYTHON=/path/to/python3 …" >&2
exit 1
