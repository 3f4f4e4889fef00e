"""The app on one machine, with no Azure: stand-ins for the services around it, and the commands that run them."""
