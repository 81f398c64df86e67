"""The models at the other end: the Realtime socket, its events, its prices."""
