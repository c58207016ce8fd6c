"""Waist 2: messages between peers, with opaque bodies."""
