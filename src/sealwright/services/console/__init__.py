"""The web console; talks to the key service only through client.py."""
