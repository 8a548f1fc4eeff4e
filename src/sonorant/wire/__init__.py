"""What the gateway and a replica's process say to each other: typed messages over one socket."""
