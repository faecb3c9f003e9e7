"""A run is shown to, and steered by, other processes of its user, through a Unix socket in the folder of its bench.

socket_file   where the socket is, who may connect, and what a dead process left
wire          the messages, one line of JSON each
host          the side of the run: a snapshot for who attaches, then every event; orders come back
client        the other side: the same reducer makes the same RunState from them
"""
