"""Whoever may write a secret points the app's identity elsewhere: it is denied, and no connection is opened."""
