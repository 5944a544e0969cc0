"""The networks, the losses that train them, and the devices and runtimes that run them."""
