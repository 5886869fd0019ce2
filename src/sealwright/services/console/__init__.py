"""Room for the web console, which will talk to the key service only through client.py; not there yet."""
