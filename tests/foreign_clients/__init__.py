"""Clients that others wrote, pointed at the local stand-ins: whatever Azure answers them, the stand-ins must too."""
